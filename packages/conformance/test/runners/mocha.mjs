import { it } from "mocha";
import { conformance } from "@dlock/conformance";
import { harness } from "./harness.mjs";

conformance(it, harness);
