// The styles of the page: what is offered, what is chosen, and the mix of two. Knows nothing of photos.

import { $, input } from "./page";
import type { Folder, Style } from "./protocol";

interface Choice {
  name: string; // in the names of files
  title: string;
  folder: Folder;
  row: number[];
}

const choices: Choice[] = [];

/** Whether the styles are loaded. */
export function areOffered(): boolean {
  return choices.length > 0;
}

function chosen(): Choice {
  return choices[Number(document.querySelector<HTMLInputElement>("#styles :checked")!.value)]!;
}

function second(): Choice | undefined {
  return choices[Number($<HTMLSelectElement>("second").value)];
}

function share(): number {
  return second() ? Number(input("mix").value) / 100 : 0;
}

/** A row of the network: those of styles are mixed. */
export function style(): Style {
  const { folder, row } = chosen();
  const other = second()?.row ?? row;
  return { folder, row: row.map((value, i) => (1 - share()) * value + share() * other[i]!) };
}

/** The name of the style that has the larger share. */
export function styleName(): string {
  return (share() > 0.5 ? second()! : chosen()).name;
}

/** Only styles of one network can be mixed. */
export function offerMixing(): void {
  const select = $<HTMLSelectElement>("second");
  const before = select.value;
  select.replaceChildren(new Option("no other style", "-1"));
  for (const [index, choice] of choices.entries()) {
    if (choice.folder === chosen().folder) select.append(new Option(choice.title, String(index)));
  }
  if ([...select.options].some((option) => option.value === before)) select.value = before;
  showMixing();
}

export function showMixing(): void {
  $("mixing").hidden = second() === undefined;
  $("mix-name").textContent = `Share of ${second()?.title}`;
}

/** Shows a style, before the place for paintings; returns its button. */
export function offer(choice: Choice, picture: HTMLElement): HTMLInputElement {
  const value = String(choices.push(choice) - 1);
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value });
  const text = document.createElement("span");
  text.textContent = choice.title;
  const label = document.createElement("label");
  label.append(radio, picture, text);
  $("own").before(label);
  return radio;
}

export function offerStyles(names: string[]): void {
  for (const [index, name] of names.entries()) {
    const title = name.replaceAll("_", " ").replace(/^.|\bvii$/g, (part) => part.toUpperCase());
    const row = names.map((_, i) => Number(i === index));
    const image = { src: `styles/${name}.jpg`, alt: "", width: 160, height: 160 };
    const picture = Object.assign(document.createElement("img"), image);
    offer({ name, title, folder: "network", row }, picture).checked = name === "starry_night";
  }
  offerMixing();
  reveal();
}

/** Brings the chosen style into the middle of the strip, which a phone has. */
export function reveal(): void {
  const strip = $("styles");
  const label = strip.querySelector<HTMLElement>("label:has(:checked)")!;
  strip.scrollLeft = label.offsetLeft - strip.offsetLeft - (strip.clientWidth - label.offsetWidth) / 2;
}
