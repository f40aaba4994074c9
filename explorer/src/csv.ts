// Text in CSV files, harmless to spreadsheets: the rule of docs/formats.md, as plugins/verger_rules/csv_text.py has it.

const SEPARATORS = "\\t\\n\\x0b\\x0c\\r\\x1c-\\x1f,;|\\x85\\u2028\\u2029";
const UNSEEN = "\\x00-\\x20\\x22\\x7f-\\xa0\\xad\\u1680\\u180e\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff";
const SIGNS = "=+\\-@\\u207a\\u207c\\u208a\\u208c\\u2212\\ufe62\\ufe63\\ufe66\\ufe6b\\uff0b\\uff0d\\uff1d\\uff20";

/** A sign at the beginning of a text, or of what becomes a cell where another separator is taken. */
const FORMULA = new RegExp(`(^|[${SEPARATORS}])([${UNSEEN}]*)('*)([${SIGNS}])`, "g");
const CONTROL = /^('*[\t\n\r])/;
const QUOTED = /[,;|\t\r\n"]/;

/** A text with a `'` before each sign that a spreadsheet would take for the beginning of a formula. */
function harmlessCell(text: string): string {
  return text.replace(FORMULA, "$1$2'$3$4").replace(CONTROL, "'$1");
}

/** Rows of texts as a CSV file (RFC 4180); what holds a separator of any country is quoted. */
export function csvOf(rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => {
    const safe = harmlessCell(text);
    return QUOTED.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
