import { Heading } from "../parts";

export default function Page() {
  return <Heading title="Overview" />;
}
