import { Empty, Heading } from "../parts";
import { Link, route } from "../router";

export default function NotFound() {
  return (
    <>
      <Heading title="Not found" />
      <Empty title={`There is no page ${route.value.path}`}>
        <Link to="/">Overview of all meshes</Link>
      </Empty>
    </>
  );
}
