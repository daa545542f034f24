/**
 * An editable combobox with a list that follows what is typed (WAI-ARIA: "editable combobox with
 * list autocomplete"). The focus stays in the field; arrows move through the list, Enter takes,
 * Escape closes.
 */

import { byId, el, setText } from "./dom.js";
import { announce } from "./notice.js";
import { several } from "./words.js";

const PAUSE = 120; // [ms] after the last key before it is searched

export class Combobox {
  /**
   * @param {string} id of the field; its list, popup and buttons have ids that begin with it
   * @param {(text: string, signal: AbortSignal) => Promise<{names: object[], more: boolean}>} search
   * @param {(name: string | null) => void} choose told what is chosen; null: left open
   */
  constructor(id, search, choose) {
    this.field = byId(id);
    this.list = byId(`${id}-list`);
    this.popup = byId(`${id}-popup`);
    this.more = byId(`${id}-more`);
    this.clear = byId(`${id}-clear`);
    this.search = search;
    this.choose = choose;
    this.chosen = null;
    this.isTyping = false; // what is in the field is not what is chosen, and not to be overwritten
    this.active = -1;
    this.timer = 0;
    this.request = new AbortController();
    this.field.addEventListener("input", () => this.later());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("click", () => this.isOpen || this.find());
    this.field.addEventListener("blur", () => this.settle());
    // The field would lose the focus, and the list close, before the click arrives.
    this.popup.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(option.dataset.name);
    });
    this.clear.addEventListener("click", () => {
      this.take(null);
      this.field.focus();
    });
  }

  get isOpen() {
    return !this.popup.hidden;
  }

  /** Show what is chosen, unless somebody is typing. */
  show(name) {
    this.chosen = name;
    this.clear.hidden = name === null;
    if (!this.isTyping) this.field.value = name ?? "";
  }

  later() {
    this.isTyping = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.find(), PAUSE);
  }

  /** Search what is typed and open the list. Returns whether the answer is still wanted. */
  async find() {
    clearTimeout(this.timer);
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    const text = this.field.value.trim();
    let found;
    try {
      // What is chosen already is no search: the list begins with the most frequent.
      found = await this.search(text === this.chosen ? "" : text, signal);
    } catch {
      if (!signal.aborted) this.close();
      return false;
    }
    if (signal.aborted || document.activeElement !== this.field) return false;
    this.fill(found);
    return true;
  }

  fill({ names, more }) {
    this.list.replaceChildren(
      ...names.map(({ name, tracks }, index) => {
        const option = el(
          "li",
          { role: "option", id: `${this.list.id}-${index}`, "aria-selected": "false" },
          el("span", {}, name),
          el("span", {}, several(tracks, "track")),
        );
        option.dataset.name = name;
        return option;
      }),
    );
    this.more.hidden = !more && names.length > 0;
    setText(this.more, names.length ? "Keep typing to find others." : "No artist has this in the name.");
    this.popup.hidden = false;
    this.list.hidden = !names.length;
    this.field.setAttribute("aria-expanded", "true");
    this.point(-1);
    announce(names.length ? `${several(names.length, "artist")} found` : "no artist found");
  }

  point(index) {
    const options = this.list.children;
    if (this.active >= 0) options[this.active]?.setAttribute("aria-selected", "false");
    this.active = index;
    if (index < 0) {
      this.field.removeAttribute("aria-activedescendant");
      return;
    }
    options[index].setAttribute("aria-selected", "true");
    options[index].scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-activedescendant", options[index].id);
  }

  async key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (!this.isOpen) await this.find();
      const size = this.list.children.length;
      if (!this.isOpen || !size) return;
      if (event.altKey) return;
      const from = this.active < 0 && step < 0 ? 0 : this.active;
      this.point((from + step + size) % size);
    } else if (event.key === "Enter") {
      event.preventDefault();
      await this.enter();
    } else if (event.key === "Escape" && (this.isOpen || this.field.value !== (this.chosen ?? ""))) {
      event.preventDefault();
      this.close();
      this.isTyping = false;
      this.field.value = this.chosen ?? "";
    }
  }

  /** Take the one pointed at, or the first that is found. */
  async enter() {
    if (this.active < 0) {
      const text = this.field.value.trim();
      if (!text || text === this.chosen) {
        if (!text && this.chosen !== null) this.take(null);
        else this.close();
        this.isTyping = false;
        return;
      }
      if (!(await this.find())) return;
    }
    const option = this.list.children[Math.max(0, this.active)];
    if (option) this.take(option.dataset.name);
  }

  take(name) {
    this.close();
    this.isTyping = false;
    this.field.value = name ?? "";
    if (name !== this.chosen) this.choose(name);
  }

  /** The focus is gone: an emptied field is left open, half a name is none. */
  settle() {
    this.close();
    this.isTyping = false;
    const text = this.field.value.trim();
    if (!text && this.chosen !== null) this.choose(null);
    else this.field.value = this.chosen ?? "";
  }

  close() {
    clearTimeout(this.timer);
    this.request.abort();
    this.popup.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.point(-1);
  }
}
