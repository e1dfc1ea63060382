import { endings } from "./checkers/endings.js";
import { fairness } from "./checkers/fairness.js";
import { ghosts } from "./checkers/ghosts.js";
import { needless } from "./checkers/needless.js";
import { overlap } from "./checkers/overlap.js";
import { recovery } from "./checkers/recovery.js";
import { stale } from "./checkers/stale.js";
import { told } from "./checkers/told.js";
import { tokens } from "./checkers/tokens.js";
import type { Checker } from "./trial.js";

/** All that look at a history; what is left over afterwards is looked for in the store. */
export const checkers: readonly Checker[] = [
  overlap,
  tokens,
  stale,
  told,
  needless,
  recovery,
  fairness,
  ghosts,
  endings,
];
