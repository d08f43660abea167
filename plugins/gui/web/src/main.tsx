import { render } from "preact";
import { startAbout } from "./about";
import { startConnection } from "./connection";
import { startFirstRun } from "./first-run/done";
import { Frame } from "./frame/frame";
import { startKeys } from "./frame/keys";
import { startTheme } from "./frame/theme";
import { startRouter } from "./router";
import "./styles.css";

startTheme();
startRouter();
startConnection();
startAbout();
startKeys();
void startFirstRun();
render(<Frame />, document.getElementById("app")!);
