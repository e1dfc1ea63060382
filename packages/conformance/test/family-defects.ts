import type { Broken } from "./broken.js";
import { NeverShortensALease } from "./broken-holds.js";
import * as permits from "./broken-permits.js";
import * as readers from "./broken-shared.js";
import { pollsInSecret } from "./broken-waits.js";
import { modelHarness, type Model } from "./model-harness.js";
import { family } from "./model-provider.js";
import type { ModelStore } from "./model-store.js";
import { withProvider } from "./with-provider.js";

const withFamily = (model: Model) => () => modelHarness({ ...model, guarantees: family });
const over = (store: () => ModelStore) => () => withFamily({ store: store() })();

/** In how readers and writers, and those who have permits, get along. */
export const familyDefects: Readonly<Record<string, Broken>> = {
  "shortens the leases of nobody, nor of those who share": {
    harness: over(() => new NeverShortensALease()),
    breaks: "expire/shared",
    also: { "permits, and locks of one holder, are leases too": ["expire/permit", "expire/ends", "once/next-tick"] },
  },
  "lets readers in beside a writer": {
    harness: over(() => new readers.LetsReadersInBesideAWriter()),
    breaks: "shared/together",
    also: {
      "wherever readers meet a writer": [
        "shared/sections",
        "shared/renewed",
        "shared/enter-together",
        "shared/dead-waiter",
        "shared/downgrade",
        "shared/lost-downgrade",
        "shared/downgrade-section",
      ],
    },
  },
  "ends the holds of all readers with that of one": {
    harness: over(() => new readers.EndsAllReadersAtOnce()),
    breaks: "shared/own-release",
    also: {
      "wherever one of several readers leaves": [
        "shared/together",
        "shared/dead-reader",
        "shared/enter-together",
        "shared/leaver",
        "shared/stream",
        "shared/downgrade",
      ],
    },
  },
  "counts its readers, and counts a second release of one": {
    harness: over(() => new readers.CountsReaders()),
    breaks: "shared/own-release",
  },
  "ends all readers when the longest lease of them ends": {
    harness: over(() => new readers.ReadersShareOneExpiry("longest")),
    breaks: "shared/dead-reader",
    also: { "whoever came first": ["shared/outlived", "shared/expiry"] },
  },
  "ends all readers when the lease of the latest ends": {
    harness: over(() => new readers.ReadersShareOneExpiry("latest")),
    breaks: "shared/outlived",
    also: { "whoever came first": ["shared/dead-reader", "shared/expiry"] },
  },
  "renews all readers with one": {
    harness: over(() => new readers.RenewsAllReaders()),
    breaks: "shared/outlived",
  },
  "does not restart the lease of a reader at its renewal": {
    harness: over(() => new readers.RenewsNoReader()),
    breaks: "shared/renewed",
    also: { "readers that renew do not last": ["shared/push"], "nor do those left to time": ["expire/shared"] },
  },
  "ends the leases of readers early": {
    harness: over(() => new readers.EndsReadersEarly()),
    breaks: "shared/dead-reader",
    also: { "all of them": ["shared/renewed"] },
  },
  "wakes nobody when the lease of the last reader ends": {
    harness: over(() => new readers.WakesNobodyWhenReadersExpire()),
    breaks: "shared/expiry",
    also: { "it may be left to time": ["expire/shared"] },
    sometimes: { "when the last look comes just before the end": ["shared/dead-reader", "shared/renewed"] },
  },
  "wakes nobody when the last reader leaves": {
    harness: over(() => new readers.WakesNobodyAfterTheLastReader()),
    breaks: "shared/wakes-writer",
    also: { "wherever a writer waits for readers": ["shared/upgrade", "shared/stream", "shared/enter-together"] },
  },
  "counts its token for writers only": {
    harness: over(() => new readers.CountsOnlyWriters()),
    breaks: "shared/tokens",
  },
  "lets readers overtake a writer that waits": {
    harness: over(() => new readers.LetsReadersOvertake()),
    breaks: "shared/writer-first",
    also: { "wherever readers come after a writer": ["shared/enter-together", "shared/leaver", "shared/stream"] },
  },
  "lets only one of several readers in at a time": {
    harness: over(() => new readers.CallsOneReaderAtATime()),
    breaks: "shared/enter-together",
    also: { "also when the first one is dead": ["shared/dead-waiter"] },
  },
  "keeps the place of a writer that gave up": {
    harness: over(() => new readers.KeepsThePlacesOfWriters()),
    breaks: "shared/leaver",
    also: { "it can be seen": ["shared/inspect"] },
  },
  "waits for readers that died in line": {
    harness: over(() => new readers.WaitsForDeadReaders()),
    breaks: "shared/dead-waiter",
  },
  "wakes nobody at a downgrade": {
    harness: over(() => new readers.WakesNobodyAtADowngrade()),
    breaks: "shared/downgrade",
  },
  "downgrades by giving the lock up and taking it again": {
    harness: over(() => new readers.DowngradesInTwoSteps()),
    breaks: "shared/downgrade-gap",
    also: { "it has no hold in between": ["shared/downgrade"] },
  },
  "lets a writer in beside a downgraded hold": {
    harness: over(() => new readers.ForgetsDowngraded()),
    breaks: "shared/downgrade",
    also: { "whenever it asks": ["shared/downgrade-gap"] },
  },
  "downgrades whoever holds": {
    harness: over(() => new readers.DowngradesWhoeverHolds()),
    breaks: "shared/lost-downgrade",
  },
  "forces one of several readers out": {
    harness: over(() => new readers.ForcesOneReaderOut()),
    breaks: "shared/force-release",
  },
  "shows one of several readers": {
    harness: () =>
      withProvider(
        (provider) => ({
          ...provider,
          inspect: async (key) => {
            const { holders = [], waiters = [] } = (await provider.inspect?.(key)) ?? {};
            return { key, holders: holders.slice(0, 1), waiters };
          },
        }),
        { guarantees: family },
      ),
    breaks: "shared/inspect",
  },
  "polls for a place beside others, and says that it is pushed": {
    harness: withFamily({ client: pollsInSecret }),
    breaks: "shared/push",
    also: { "it does so whatever it waits for": ["semaphore/push", "wake-ups/push"] },
  },
  "gives one permit more than its limit": {
    harness: over(() => new permits.GivesOneMore()),
    breaks: "semaphore/limit",
    also: {
      "wherever permits run out": [
        "semaphore/dead-permit",
        "semaphore/lost-reply",
        "semaphore/order",
        "semaphore/sections",
        "expire/permit",
      ],
    },
  },
  "counts its permits, and counts a second release of one": {
    harness: over(() => new permits.CountsPermits()),
    breaks: "semaphore/limit",
  },
  "gives all permits of a time one token": {
    harness: over(() => new permits.GivesPermitsOfATimeOneToken()),
    breaks: "semaphore/tokens",
  },
  "never gets the permit of a dead holder back": {
    harness: over(() => new permits.KeepsPermitsOfTheDead()),
    breaks: "semaphore/dead-permit",
    also: { "it stays in the store": ["cleanup/dead-residue"], "left to time is the same": ["expire/permit"] },
  },
  "ends all permits when the lease of the latest ends": {
    harness: over(() => new permits.PermitsShareOneExpiry()),
    breaks: "semaphore/dead-permit",
  },
  "accepts another limit in silence": {
    harness: over(() => new permits.AcceptsAnyLimit()),
    breaks: "semaphore/other-limit",
  },
  "takes a second permit when the answer about the first was lost": {
    harness: withFamily({ client: permits.takesASecondPermit, offers: ["raise", "downgrade"] }),
    breaks: "semaphore/lost-reply",
  },
  "gives permits to whoever asks first": {
    harness: over(() => new permits.GivesPermitsToWhoeverAsks()),
    breaks: "semaphore/order",
  },
  "wakes nobody for a permit while others hold": {
    harness: over(() => new permits.WakesNobodyWhileOthersHold()),
    breaks: "semaphore/wakes",
  },
};
