// What the page says, in the reader's language.

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { en } from "./words/en";
import { zh } from "./words/zh";
import { told } from "./words/zh-told";

export type Word = keyof typeof en;
export type Catalogue = Record<Word, string>;
export type Language = "en" | "zh";

const ALL: Record<Language, Catalogue> = { en, zh };

export type Say = (word: Word, given?: Given) => string;

export function sayer(language: Language): Say {
  const fill = language === "zh" ? spaced : filled;
  return (word, given = {}) => fill(ALL[language][word], given);
}

type Given = Record<string, string | number>;

const filled = (text: string, given: Given): string => text.replace(/\{(\w+)\}/g, (whole, name: string) => String(given[name] ?? whole));

/** Whether the catalogue has such a word: a code of the server may be newer than this page. */
export const isWord = (word: string): word is Word => Object.hasOwn(en, word);

/** A sentence of a diagnosis. */
export type Sentence = keyof typeof told;
export const isSentence = (sentence: string): sentence is Sentence => Object.hasOwn(told, sentence);

/** Tells what the recorder diagnoses in the reader's language. */
export type Tell = (sentence: Sentence, given?: Given) => string;

/** None in the language that the recorder speaks itself. */
export function teller(language: Language): Tell | null {
  if (language === "en") return null;
  return (sentence, given = {}) => spaced(told[sentence], given);
}

const LATIN = /^[\w"'(./+-]/;
const HAN = /\p{Script=Han}/u;

/** What is Latin stands apart from Chinese around it, however the value begins and ends. */
function spaced(text: string, given: Given): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string, at: number) => {
    const value = String(given[name] ?? whole);
    const before = HAN.test(text[at - 1] ?? "") && LATIN.test(value) ? " " : "";
    const after = HAN.test(text[at + whole.length] ?? "") && /[\w"'./%+-]$/.test(value) ? " " : "";
    return `${before}${value}${after}`;
  });
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

export const Diagnosis = createContext<Tell | null>(null);

export function useTell(): Tell | null {
  return useContext(Diagnosis);
}
