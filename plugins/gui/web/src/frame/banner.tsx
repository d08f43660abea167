import { lostSince } from "../connection";
import { Age } from "../parts/age";

/** Says that the control plane is not heard, and how old what is shown may be. */
export function Banner() {
  if (!lostSince.value) return null;
  return (
    <div class="banner" role="alert">
      The control plane is not heard. What you see was true <Age at={lostSince.value} />, and may be no more. This page goes on
      by itself once it answers.
    </div>
  );
}
