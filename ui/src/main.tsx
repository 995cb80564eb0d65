import { render } from "preact";

import { App } from "./app";
import "./style/ground.css";
import "./style/parts.css";
import "./style/views.css";
import "./style/owner.css";
import "./style/alerts.css";

const place = document.getElementById("page");
if (place) render(<App />, place);
