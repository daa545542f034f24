/** Presses on their way: each is kept until the server has taken or refused it, also over a reload. */

import { insist, Refusal } from "./api.js";

const KEPT = "musicrec-press";

/** The press that has no answer yet, {press_id, track, liked}; null: there is none. */
export function kept() {
  return JSON.parse(sessionStorage.getItem(KEPT));
}

/** Let a press go that the server was asked to forget with all others. */
export function forget() {
  sessionStorage.removeItem(KEPT);
}

/** Send a press and return the next state. If the server has it, it is not counted twice. */
export async function send(press) {
  sessionStorage.setItem(KEPT, JSON.stringify(press));
  try {
    const { state } = await insist("POST", "/api/press", press);
    sessionStorage.removeItem(KEPT);
    return state;
  } catch (error) {
    if (error instanceof Refusal && !error.isFailure) sessionStorage.removeItem(KEPT);
    throw error;
  }
}
