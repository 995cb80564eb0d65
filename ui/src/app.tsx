// The frame around the views: where one is, whether anybody records, light or dark, which language.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { document as ask, Fault } from "./api";
import type { Now as NowDocument } from "./documents";
import mark from "./mark.svg";
import { useLive, type Live, type Topic } from "./live";
import { Keys } from "./parts/keys";
import { isTyping } from "./parts/typing";
import { go, link, useRoute, VIEWS, type Route } from "./route";
import { Alerts } from "./views/alerts";
import { Deaths } from "./views/deaths";
import { Explore } from "./views/explore";
import { Growth } from "./views/growth";
import { Now } from "./views/now";
import { Owner } from "./views/owner";
import { Time } from "./views/time";
import { Diagnosis, keep, kept, preferred, sayer, Speech, teller, useSay, type Language } from "./words";

/** As often as the recorder looks. */
const EVERY_MS = 5_000;

/** How often the state in the head is asked for where the view itself does not need it. */
const CALMLY_MS = 30_000;

type Theme = "light" | "dark";

function preferredTheme(asked: string | undefined): Theme {
  const known = asked ?? kept("theme");
  if (known === "light" || known === "dark") return known;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function App() {
  const route = useRoute();
  const [language, setLanguage] = useState<Language>(() => preferred(route.with["lang"]));
  const [theme, setTheme] = useState<Theme>(() => preferredTheme(route.with["theme"]));
  const [isHelping, setHelping] = useState(false);
  const say = useMemo(() => sayer(language), [language]);
  const tell = useMemo(() => teller(language), [language]);
  const pace = route.view === "now" ? EVERY_MS : CALMLY_MS;
  const topics: Topic[] = route.view === "now" ? ["samples", "events", "alerts"] : [];
  const now = useLive("now", pace, (signal) => ask<NowDocument>("now", signal), ...topics);
  document.documentElement.dataset["theme"] = theme;
  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.title = `${say(`nav.${route.view}`)} · highwater`;
  }, [language, route.view]);
  useKeys(() => setHelping(true));
  const choose = (language: Language): void => {
    keep("language", language);
    setLanguage(language);
  };
  const shade = (theme: Theme): void => {
    keep("theme", theme);
    setTheme(theme);
  };
  const { lang, theme: shaded } = route.with;
  useEffect(() => {
    if (lang !== undefined) choose(preferred(lang));
    if (shaded !== undefined) shade(preferredTheme(shaded));
  }, [lang, shaded]);
  return (
    <Speech.Provider value={say}>
      <a class="skip" href="#content" onClick={skip}>
        {say("page.skip")}
      </a>
      <header class="head">
        <a class="brand" href={link("now")}>
          <img src={mark} alt="" />
          highwater
        </a>
        <nav aria-label={say("nav.label")}>
          {VIEWS.map((view) => (
            <a key={view} href={link(view)} {...(view === route.view ? { "aria-current": "page" as const } : {})}>
              {say(`nav.${view}`)}
            </a>
          ))}
        </nav>
        <div class="state">
          <State now={now} />
          <button class="plainly" type="button" aria-label={say("page.keys")} onClick={() => setHelping(true)}>
            ?
          </button>
          <button class="plainly" type="button" aria-label={say("page.theme")} onClick={() => shade(theme === "dark" ? "light" : "dark")}>
            {theme === "dark" ? "☀" : "☾"}
          </button>
          <button class="plainly" type="button" aria-label={say("page.languageLabel")} onClick={() => choose(language === "zh" ? "en" : "zh")}>
            {say("page.language")}
          </button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <Diagnosis.Provider value={tell}>
          <View route={route} now={now} />
        </Diagnosis.Provider>
      </main>
      {isHelping && <Keys close={() => setHelping(false)} />}
    </Speech.Provider>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function View({ route, now }: { route: Route; now: Live<NowDocument> }) {
  switch (route.view) {
    case "now":
      return <Now now={now} />;
    case "time":
      return <Time route={route} />;
    case "deaths":
      return <Deaths route={route} />;
    case "growth":
      return <Growth />;
    case "owner":
      return <Owner route={route} />;
    case "alerts":
      return <Alerts route={route} isHistory={now.fault?.trouble === "absent"} />;
    case "explore":
      return <Explore route={route} />;
  }
}

/** Whether anybody records. */
function State({ now }: { now: Live<unknown> }) {
  const say = useSay();
  const isHistory = now.fault?.trouble === "absent";
  const isLost = now.fault instanceof Fault && !isHistory;
  const shade = isLost ? "dot is-lost" : isHistory ? "dot is-history" : "dot";
  const words = say(isLost ? "page.lost" : isHistory ? "page.history" : "page.recording");
  return (
    <span role="status" class="state">
      <i class={shade} aria-hidden="true" />
      <span class="words">{now.value || now.fault ? words : ""}</span>
    </span>
  );
}

/** Digits lead to the views, `?` tells of all keys. */
function useKeys(help: () => void): void {
  const told = useRef(help);
  told.current = help;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
      const view = VIEWS[Number(event.key) - 1];
      if (view) go(link(view));
      if (event.key === "?") told.current();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
