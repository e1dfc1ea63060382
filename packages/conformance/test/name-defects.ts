import { aliased } from "./aliases.js";
import type { Broken } from "./broken.js";
import * as broken from "./broken-names.js";

/** In where the locks of a configuration are. */
export const nameDefects: Readonly<Record<string, Broken>> = {
  "leaves it to the session where its locks are": {
    harness: aliased("two roles", broken.inASpaceOfItsOwn),
    breaks: "names/aliases",
  },
  "takes whatever connection there is, with the database that it selected": {
    harness: aliased("a database that somebody selected", broken.nowAndThenElsewhere),
    breaks: "names/aliases",
  },
  "shares its locks under another name, and not their counter": {
    harness: aliased("another namespace for the counter", broken.countsByItself),
    breaks: "names/aliases",
  },
  "fails under another name without a word for who configured it": {
    harness: aliased("a table of somebody else's", broken.failsSomehow),
    breaks: "names/aliases",
  },
};
