"use strict";
// What Swagger UI leaves out for keyboards and screen readers: a heading between its title and its groups, names of
// fields, and a way to scroll long examples.
const wrap = (make) => (Part, { React }) => (props) => make(React.createElement, Part, props);
const scroller = wrap((make, Part, props) => make("div", { className: "scroller", tabIndex: 0 }, make(Part, props)));
const named = (name) => wrap((make, Part, props) => make(Part, { "aria-label": name, ...props }));
const forAll = {
  operations: wrap((make, Part, props) => make("div", {}, make("h2", {}, "Routes"), make(Part, props))),
  HighlightCode: scroller,
  curl: scroller,
  JsonSchemaForm: wrap((make, Part, props) =>
    make("label", {}, make("span", { className: "unseen" }, props.description), make(Part, props))),
  Input: named("File"),
  TextArea: named("Request body"),
};
// Paths are relative, so that the page also works behind a proxy that puts the service below a path of its own.
SwaggerUIBundle({
  url: new URL("openapi.json", location.href).href,
  dom_id: "#api",
  deepLinking: false, // would put a link into each route's button
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  syntaxHighlight: { theme: "idea" }, // its colours have enough contrast
  plugins: [{ wrapComponents: forAll }],
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
