"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

// A form's fields are empty at first, and sent if something is in them: what would be made up for them is no request.
const emptyForms = {
  afterLoad() {
    const sample = this.fn.getSampleSchema;
    const empty = (schema) => ((schema.toJS?.() ?? schema).type === "array" ? [] : "");
    this.fn.getSampleSchema = (schema, type, ...more) => (type === false ? empty(schema) : sample(schema, type, ...more));
  },
  components: { ParameterIncludeEmpty: () => null },
};

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  plugins: [emptyForms],
});
