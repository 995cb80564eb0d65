// What the page says, in the reader's language.

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { en } from "./words/en";
import { zh } from "./words/zh";

export type Word = keyof typeof en;
export type Catalogue = Record<Word, string>;
export type Language = "en" | "zh";

const ALL: Record<Language, Catalogue> = { en, zh };

export type Say = (word: Word, given?: Record<string, string | number>) => string;

export function sayer(language: Language): Say {
  return (word, given = {}) =>
    ALL[language][word].replace(/\{(\w+)\}/g, (whole, name: string) => String(given[name] ?? whole));
}

/** The language of the address, of the last visit, or of the browser. */
export function preferred(asked: string | undefined): Language {
  const known = asked ?? kept("language") ?? navigator.language;
  return known.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** What was chosen on an earlier visit; a browser may refuse to keep anything. */
export function kept(name: string): string | null {
  try {
    return localStorage.getItem(`highwater.${name}`);
  } catch {
    return null;
  }
}

export function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`highwater.${name}`, value);
  } catch {
    // It is chosen anew next time.
  }
}

export const Speech = createContext<Say>(sayer("en"));

export function useSay(): Say {
  return useContext(Speech);
}
