const hidden = "…";

/** Names of fields and parameters whose values are for nobody to see. */
const secret =
  /pass(?!ive|ing)|secret|token|credential|bearer|signature|pfx|(?:^|[._-])pwd?$|auth$|authorization|cookie|[a-z_-]key$/i;
/** Fields that hold names of locks: `tenant:orders:42` is no URL. */
const ofLocks = /^(?:key|keys|prefix|namespace|owner|routes)$/;
/** How messages of ours show where credentials go. */
const example = /(\[user:password@\])/;

const pem = /-----BEGIN.*?(?:-----END.*?-----|$)/gs;
const keyMaterial = /[a-z\d+/%]{100,}=*/gi;
/** V8 quotes what is not JSON. */
const notJson = " is not valid JSON";
const quotedJson = new RegExp(
  `(?<=^|, |: )(?:\\.\\.\\.)?"(?!undefined"|\\[object Object\\]"|: ).*"(?:\\.\\.\\.)?${notJson}`,
  "gs",
);
const unexpected = /(Unexpected \w+ ')([^'\n]{2,})'/g;
/** As compilers show the source around a mistake. */
const sourceLine = /^ *\d+ *(?:[|│]|: ).*$/gm;
/** Of the web and of files, users and passwords are written as the standard says; of the rest, as people write them. */
const urlInText = /\b(file|https?|node|wss?):\/\/([^\s/@]*@)?|\b([a-z][a-z\d+.-]*:)\/\/(\S*)/gi;
const named = "(?<![\\w.-])[\\w.-]*(?:pass(?:word|wd|phrase)?|secret|pwd|pw|credentials?|api[_-]?key)";
const harmless = "(?!…|(?:yes|no|true|false|null|undefined|string|number)\\b)";
const spoken = new RegExp(`(${named}: +)${harmless}[^\\s"'\`,;)}\\]]+`, "gi");
const assigned = new RegExp(
  `((?:${named}|(?<![\\w.-])[\\w.-]*(?:token|key|auth|pfx))\\\\*["'\`]? *(?:=|%3D) *)${harmless}[^\\s"'\`,;&)}\\]]+`,
  "gi",
);
const quoted = new RegExp(
  `((?:${named}|(?<![\\w.-])[\\w.-]*(?:token|key|auth|pfx))\\\\*["'\`]? *[:=] *\\\\*(["'\`]))(?!…)(?:(?!\\\\*\\2).)+`,
  "gis",
);

/** Prose, as of a message: what looks like credentials in it is left out, and the rest stays. So does the name of the lock it is about. */
export function maskedText(text: string, lock?: string): string {
  const [about, at] = [`"${lock}"`, lock === undefined ? -1 : text.indexOf(`"${lock}"`)];
  if (at >= 0) return maskedText(text.slice(0, at)) + about + maskedText(text.slice(at + about.length));
  return text.split(example).map(maskedProse).join("");
}

function maskedProse(text: string): string {
  if (example.test(text)) return text;
  const prose = text.includes(notJson) ? text.replace(quotedJson, `"${hidden}"${notJson}`) : text;
  return prose
    .replace(pem, hidden)
    .replace(keyMaterial, (found) => (/\d/.test(found) && /[A-Z]/.test(found) && /[a-z]/.test(found) ? hidden : found))
    .replace(unexpected, (_, before: string, word: string) => `${before}${maskedName(word)}'`)
    .replace(sourceLine, hidden)
    .replace(urlInText, (url: string, web?: string, user?: string, scheme?: string, rest = "") => {
      if (scheme !== undefined) return `${scheme}//${maskedUrl(rest)}`;
      return user === undefined ? url : `${web ?? ""}://${hidden}@`;
    })
    .replace(quoted, `$1${hidden}`)
    .replace(assigned, `$1${hidden}`)
    .replace(spoken, `$1${hidden}`);
}

/** Whether a field holds what nobody may see, by the names in its path. The `key` of an option is one; `key` alone is that of a lock. */
export function isSecret(path: string): boolean {
  const [, inside = ""] = /^(?:backends\.[\w-]+|routes\b.*)?(.*)$/s.exec(path) ?? [];
  return inside.split(/[.[\]]+/).some((name) => secret.test(name) || (name === "key" && inside !== name));
}

/** What a field says: of a URL, however badly written, no more than its scheme, hosts, path and the names of its parameters. */
export function maskedValue(value: string, path: string, lock = ""): string {
  if (isSecret(path) || /^\s*[[{]/.test(value)) return hidden;
  const [, scheme = "", slashes = "", rest = ""] = /^([a-z][a-z\d+.-]+:)?(\/*)(.*)$/is.exec(value) ?? [];
  const isPath = (scheme === "" && slashes.length === 1) || /^(?:\.{1,2}[\\/]|[a-z]:[\\/])/i.test(value);
  const isUrl = scheme !== "" || slashes.length > 1 || /[:?]/.test(rest);
  if (ofLocks.test(path) || (lock !== "" && lock.endsWith(value))) return value;
  if (isPath || !isUrl || rest === ":memory:") return maskedText(value);
  // Neither a path nor an authority: it may all be a password.
  if (scheme !== "" && slashes === "" && /^(?!\d{0,5}$)[^@:./\\?#][^@:]*$/.test(rest)) return scheme + hidden;
  return maskedText(scheme + slashes + maskedUrl(rest));
}

/** The name of a field that nobody knows: one that is no word may be part of a password with `&` in it. */
export function maskedName(name: string): string {
  return /^[a-z_$][a-z_$.-]{0,40}$/i.test(name) ? name : hidden;
}

/** What comes behind a scheme: without user and password, also where their `@host` got lost, and without the values of its query. */
function maskedUrl(rest: string): string {
  const [, place = "", query = ""] = /^([^?#]*)(.*)$/s.exec(rest) ?? [];
  const at = place.lastIndexOf("@");
  const [, hosts = "", path = ""] = /^([^/]*)(.*)$/s.exec(place.slice(at + 1)) ?? [];
  const user = at < 0 ? "" : `${hidden}@`;
  const lost = lostPassword(hosts);
  // With a ? in the password, what follows is no query.
  if (lost >= 0) return user + hosts.slice(0, lost) + hidden;
  return user + hosts + path + query.replace(/([?&#;])([^=&#;]*)(=?)[^&#;]*/g, maskedParameter);
}

/** Where it starts, or -1: a port has up to five digits, and whatever else stands behind a colon was meant as a password. */
function lostPassword(hosts: string): number {
  const plain = hosts.replace(/\[(?:[\da-f:.]+|:port)\]/gi, (found) => "_".repeat(found.length));
  return plain.search(/(?<=:)(?!\d{1,5}(?:,|[:;.)\]}"'`]*$)|$)/);
}

function maskedParameter(_: string, before: string, name: string, equals: string): string {
  if (name === "" && equals === "") return before;
  return equals === "" ? before + hidden : `${before}${maskedName(name)}=${hidden}`;
}
