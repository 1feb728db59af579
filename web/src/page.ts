// The page's elements, and the lines in which it says something.

export const $ = <Kind extends HTMLElement>(id: string): Kind => document.getElementById(id) as Kind;
export const input = (id: string): HTMLInputElement => $<HTMLInputElement>(id);

export function say(text: string): void {
  $("status").textContent = text;
}

export function complain(text: string): void {
  $("error").textContent = text;
  $("error").hidden = text === "";
}

/** Says what could not be loaded, with a way out. */
export function unloaded(text: string): void {
  complain(`${text} `);
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Load the page again" });
  button.addEventListener("click", () => location.reload());
  $("error").append(button);
  $("engine").textContent = "";
}
