/** The parts that pages are made of. */

export { Age } from "./age";
export { Badge } from "./badge";
export { Copy } from "./copy";
export { Definition } from "./definition";
export { Drawer } from "./drawer";
export { Empty } from "./empty";
export { Heading } from "./heading";
export { listQuery, useListState, type ListState } from "./list-state";
export { Loaded } from "./loaded";
export { Problem } from "./problem";
export { type Column, Table } from "./table";
export { Tabs, type Tab } from "./tabs";
export { useTyped } from "./typed";
export { Yaml } from "./yaml";
