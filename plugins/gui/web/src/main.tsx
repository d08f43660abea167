import { render } from "preact";
import { startConnection } from "./connection";
import { Frame } from "./frame/frame";
import { startRouter } from "./router";
import "./styles.css";

startRouter();
startConnection();
render(<Frame />, document.getElementById("app")!);
