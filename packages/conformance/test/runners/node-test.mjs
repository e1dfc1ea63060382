import { test } from "node:test";
import { conformance } from "@dlock/conformance";
import { harness } from "./harness.mjs";

conformance(test, harness);
