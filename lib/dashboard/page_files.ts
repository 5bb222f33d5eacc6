/**
 * The files of the dashboard, which the executable carries: no build, no file beside it.
 *
 * @module
 */
import uplotCode from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import appCode from "./page/app.js" with { type: "text" };
import chartsCode from "./page/charts.js" with { type: "text" };
import domCode from "./page/dom.js" with { type: "text" };
import indexPage from "./page/index.html" with { type: "text" };
import networkPagesCode from "./page/network_pages.js" with { type: "text" };
import openCode from "./page/open.js" with { type: "text" };
import openPage from "./page/open.html" with { type: "text" };
import pagesCode from "./page/pages.js" with { type: "text" };
import stringsCode from "./page/strings.js" with { type: "text" };
import stripCode from "./page/strip.js" with { type: "text" };
import watchCode from "./page/watch.js" with { type: "text" };
import watchPage from "./page/watch.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };

/** A file with its media type. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

const HTML = "text/html; charset=utf-8";
const CODE = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** What a browser gets before it has shown its token: no word of the node. */
export const OPEN_FILES: ReadonlyMap<string, PageFile> = new Map([
  ["", { type: HTML, text: openPage }],
  ["open.js", { type: CODE, text: openCode }],
  ["strings.js", { type: CODE, text: stringsCode }],
  ["style.css", { type: STYLE, text: style }],
]);

/** What it gets with its cookie. */
export const PAGE_FILES: ReadonlyMap<string, PageFile> = new Map([
  ["", { type: HTML, text: indexPage }],
  ["app.js", { type: CODE, text: appCode }],
  ["charts.js", { type: CODE, text: chartsCode }],
  ["dom.js", { type: CODE, text: domCode }],
  ["network_pages.js", { type: CODE, text: networkPagesCode }],
  ["pages.js", { type: CODE, text: pagesCode }],
  ["strip.js", { type: CODE, text: stripCode }],
  ["strings.js", { type: CODE, text: stringsCode }],
  ["style.css", { type: STYLE, text: style }],
  ["uplot.js", { type: CODE, text: uplotCode }],
  ["uplot.css", { type: STYLE, text: uplotStyle }],
]);

/** The same of a simulation that is watched. */
export const WATCH_FILES: ReadonlyMap<string, PageFile> = new Map([
  ["", { type: HTML, text: watchPage }],
  ["watch.js", { type: CODE, text: watchCode }],
  ["charts.js", { type: CODE, text: chartsCode }],
  ["dom.js", { type: CODE, text: domCode }],
  ["strings.js", { type: CODE, text: stringsCode }],
  ["style.css", { type: STYLE, text: style }],
  ["uplot.js", { type: CODE, text: uplotCode }],
  ["uplot.css", { type: STYLE, text: uplotStyle }],
]);
