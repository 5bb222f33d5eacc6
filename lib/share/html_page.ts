/**
 * Pages for the browsers of strangers: HTML without script, without a word of where it
 * comes from, and nothing that is loaded from elsewhere.
 *
 * @module
 */

/** Text that has been made safe to stand in HTML. */
export interface Html {
  readonly html: string;
}

/** A page, in part: values are escaped, unless they are HTML themselves. */
export function html(
  strings: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  const parts = strings.flatMap((string, index) => {
    const value = values[index];
    return value === undefined ? [string] : [string, textOf(value)];
  });
  return { html: parts.join("") };
}

function textOf(value: string | number | Html | readonly Html[]): string {
  if (typeof value === "string" || typeof value === "number") {
    return escapeHtml(String(value));
  }
  return "html" in value ? value.html : value.map(({ html }) => html).join("");
}

function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"']/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: 0.5rem 0; }
th, td { text-align: left; padding: 0.5rem; border-bottom: 1px solid; vertical-align: top; }
td { overflow-wrap: anywhere; }
td.size { white-space: nowrap; }
code { font-size: 0.85em; }
input, button { font: inherit; padding: 0.5rem; margin: 0.5rem 0; max-width: 100%; }
`;

/** What a page may do: have its style, and send a form where that is said. */
function policyOf(forms: "forms" | "no forms"): string {
  const formAction = forms === "forms" ? "'self'" : "'none'";
  return `default-src 'none'; style-src 'unsafe-inline'; form-action ${formAction}; ` +
    "frame-ancestors 'none'; base-uri 'none'";
}

/** What every answer says: no other site learns of it, or of the path that is secret. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "private, no-cache",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
};

/** An answer with a page. */
export function pageResponse(
  title: string,
  body: Html,
  { status = 200, forms = "no forms", headers = {} }: {
    readonly status?: number;
    readonly forms?: "forms" | "no forms";
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Response {
  const page = html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${title}</title>
        <style>${{ html: STYLE }}</style>
      </head>
      <body>
        <main>
    <h1>${title}</h1>
    ${body}
        </main>
      </body>
    </html>
  `;
  return new Response(page.html, {
    status,
    headers: {
      ...SAFE_HEADERS,
      "cache-control": "no-store",
      "content-security-policy": policyOf(forms),
      "content-type": "text/html; charset=utf-8",
      ...headers,
    },
  });
}

/** An answer of one sentence. */
export function sentenceResponse(
  status: number,
  title: string,
  sentence: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return pageResponse(title, html`<p>${sentence}</p>`, { status, headers });
}
