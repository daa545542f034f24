/** The JSON API (API.md), patient with a server that does not answer, not with one that fails. */

const WAITS = [0.5, 1, 2, 4, 8]; // [s] between attempts; the last one for good

const GIVE_UP = 30_000; // [ms] on one attempt

const WORTH_ANOTHER = new Set([502, 503, 504]);

const FAILED = 500; // a mistake of the server's: it may have been chance, or come for ever

const MAX_FAILURES = 4; // of one request

/** What the server refused, with its reason. */
export class Refusal extends Error {
  constructor(status, content) {
    super(content?.error?.reason ?? `the server answered ${status}`);
    this.status = status;
    this.code = content?.error?.code ?? "failed";
    this.state = content?.state ?? null;
    this.isFailure = status === FAILED;
  }
}

/** Told of waiting: `waiting(seconds)` before each further attempt, `answered()` after it. */
const listener = { waiting() {}, answered() {} };

/** Ends each of the pauses that are going on. */
const hurries = new Set();

export function onWaiting({ waiting, answered }) {
  Object.assign(listener, { waiting, answered });
}

/** Try again at once whatever is being waited for. */
export function tryNow() {
  for (const hurry of hurries) hurry();
}

addEventListener("online", tryNow);

/** One request, once. */
export async function ask(method, path, body, signal) {
  const options = { method, signal: limited(signal), headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const content = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refusal(answer.status, content);
  if (content === null) throw new Refusal(answer.status, null);
  return content;
}

/**
 * The same until it is answered, or has failed too often. Every request of the page may be sent
 * twice: a press and a clip carry their ids, the others name what shall be so.
 */
export async function insist(method, path, body) {
  let failures = 0;
  for (let attempt = 0; ; attempt++) {
    try {
      const content = await ask(method, path, body);
      if (attempt) listener.answered();
      return content;
    } catch (error) {
      const isRefusal = error instanceof Refusal;
      if (error.isFailure) failures++;
      const isWorthAnother = error.isFailure
        ? failures < MAX_FAILURES
        : !isRefusal || WORTH_ANOTHER.has(error.status);
      if (!isWorthAnother) {
        if (attempt && !error.isFailure) listener.answered();
        throw error;
      }
      const seconds = WAITS[Math.min(attempt, WAITS.length - 1)];
      listener.waiting(seconds, isRefusal ? error : null);
      await pause(seconds);
    }
  }
}

let last = Promise.resolve();

/** Begin a task when those before it are over, so that answers come in the order of the wishes. */
export function inTurn(task) {
  const run = last.then(task, task);
  last = run.catch(() => {});
  return run;
}

/** A press's or clip's new id. (`crypto.randomUUID` is there in secure contexts only, not on a LAN.) */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function limited(signal) {
  const limit = AbortSignal.timeout(GIVE_UP);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}

function pause(seconds) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      hurries.delete(end);
      resolve();
    };
    const timer = setTimeout(end, 1000 * seconds);
    hurries.add(end);
  });
}
