import { describe, test } from "node:test";
import { conformance } from "@dlock/conformance";
import { harness } from "./harness.mjs";

void describe("the laws", { concurrency: 8 }, () => conformance(test, harness));
