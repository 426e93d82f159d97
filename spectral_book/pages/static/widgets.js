/* Shows a notebook's saved widgets without a kernel and without a network.
 *
 * widgetsnbextension's extension.js holds the widgets' models and views as one AMD
 * module made for the classic notebook. This file, loaded before it, gives that
 * module the few things of a notebook it asks for, takes its classes, builds the
 * models from the state saved in the page, and puts the views where the page has
 * them. Linked widgets (jslink) then work; those that need Python keep their state.
 * When all is shown, the root element gets data-widgets="ready", else "failed".
 */
(() => {
  "use strict";

  const STATE = "application/vnd.jupyter.widget-state+json";
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const nothing = () => {};

  // Saved outputs of an Output widget (for example that of `interact`).
  class OutputArea {
    constructor({ selector }) {
      this.element = selector;
    }

    register_mime_type() {}

    clear_output() {
      this.element.replaceChildren();
    }

    fromJSON(outputs) {
      for (const output of outputs) {
        this.element.append(renderOutput(output));
      }
    }

    toJSON() {
      return [];
    }
  }

  const events = { on: nothing };
  const notebook = {
    container: { on: nothing },
    events,
    keyboard_manager: { actions: { register: nothing } },
  };
  const modules = {
    "base/js/namespace": { notebook, version: "6.5.0" },
    "base/js/events": events,
    "notebook/js/outputarea": { OutputArea },
  };

  window.Jupyter = modules["base/js/namespace"];
  window.requirejs = (names, use) => use(...names.map((name) => modules[name]));
  window.requirejs.config = nothing;

  const here = document.currentScript.src;
  window.define = (_names, factory) => {
    delete window.define;
    const library = factory({ uri: here });
    const finish = (word) => document.documentElement.setAttribute("data-widgets", word);
    pageIsLoaded()
      .then(() => showAll(library))
      .then(
        () => finish("ready"),
        (error) => {
          console.error(error);
          finish("failed");
        },
      );
  };

  function pageIsLoaded() {
    if (document.readyState === "complete") {
      return Promise.resolve();
    }
    return new Promise((resolve) => window.addEventListener("load", resolve));
  }

  async function showAll(library) {
    await library.load_ipython_extension(); // adds the style sheets
    await bridgeMathJax();
    const manager = createManager(library, savedState());
    notebook.render = (data, place) => show(manager, data, place);
    const places = [...document.querySelectorAll(`script[type="${VIEW}"]`)];
    await Promise.all(
      places.map((script) => {
        const place = document.createElement("div");
        place.className = "jupyter-widgets-view mathjax_process";
        script.after(place);
        return show(manager, JSON.parse(script.textContent), place);
      }),
    );
    await manager.settled();
    // Views fit themselves to their boxes, and boxes that scroll are found.
    window.dispatchEvent(new Event("resize"));
  }

  async function show(manager, data, place) {
    const view = await manager.create_view(await manager.get_model(data.model_id));
    // Lumino's Widget.attach is not exported, but every widget's class inherits it.
    view.luminoWidget.constructor.attach(view.luminoWidget, place);
    // The last frame stood in for the player until now.
    place.closest(".player")?.querySelector(".player-still")?.remove();
    window.addEventListener("resize", () => view.luminoWidget.update());
  }

  // ipywidgets gives buttons, handles and pictures no names of their own.
  function nameControls(view) {
    const player = view.el.closest(".player");
    const kind = view.model.get("_model_name");
    const setAll = (selector, name) =>
      view.el.querySelectorAll(selector).forEach((e) => e.setAttribute("aria-label", name));
    if (kind === "PlayModel") {
      [view.playPauseButton, view.stopButton, view.repeatButton].forEach((button, place) => {
        button.title = ["play or pause", "back to the first frame", "repeat"][place];
        button.setAttribute("aria-label", button.title);
      });
    } else if (kind.endsWith("SliderModel")) {
      setAll(".noUi-handle", view.model.get("description") || "value");
      setAll(".widget-readout", `${view.model.get("description")} shown`);
    } else if (kind === "ImageModel") {
      const frames = view.options.parent?.model.get("children") ?? [view.model];
      const frame = frames.indexOf(view.model) + 1;
      const text = player?.dataset.alt ?? "A picture.";
      view.el.alt = `${text} Frame ${frame} of ${frames.length}.`;
    }
  }

  function savedState() {
    const states = [...document.querySelectorAll(`script[type="${STATE}"]`)];
    return Object.assign({}, ...states.map((s) => JSON.parse(s.textContent).state));
  }

  // ipywidgets calls MathJax 2; the page has MathJax 3, or none.
  async function bridgeMathJax() {
    const mathJax = window.MathJax;
    if (!mathJax) {
      return;
    }
    await mathJax.startup?.promise;
    const typeset = ([, , element]) => mathJax.typesetPromise?.([element]);
    mathJax.Hub = { Queue: (...jobs) => jobs.forEach(typeset) };
  }

  // The part of a widget manager that models and views use.
  function createManager(library, state) {
    const models = new Map();
    const pending = new Set();
    const manager = {
      notebook,
      keyboard_manager: notebook.keyboard_manager,
      callbacks: () => ({}),
      // Descriptions come from the book's own notebooks and need no cleaning.
      inline_sanitize: (html) => html,
      has_model: (id) => id in state,

      get_model(id) {
        if (!models.has(id)) {
          models.set(id, createModel(id));
        }
        return models.get(id);
      },

      create_view(model, options = {}) {
        const made = createView(model, options);
        const shown = made.then(async (view) => {
          await view.displayed;
          nameControls(view);
        });
        const done = shown.catch(nothing).then(() => pending.delete(done));
        pending.add(done);
        return made;
      },

      // Boxes make the views inside them without waiting for these.
      async settled() {
        while (pending.size) {
          await Promise.all(pending);
        }
      },
    };

    async function createView(model, options) {
      const View = classOf(model.get("_view_name"), model.get("_view_module"));
      const view = new View({ model, options });
      view.listenTo(model, "destroy", view.remove);
      await view.render();
      return view;
    }

    function classOf(name, module) {
      if (!(name in library)) {
        throw new Error(`The widget ${name} of ${module} needs a running kernel.`);
      }
      return library[name];
    }

    async function createModel(id) {
      const saved = state[id];
      if (!saved) {
        throw new Error(`The page holds no state of the widget ${id}.`);
      }
      const buffers = saved.buffers ?? [];
      library.put_buffers(
        saved.state,
        buffers.map((buffer) => buffer.path),
        buffers.map((buffer) => fromBase64(buffer.data)),
      );
      const Model = classOf(saved.model_name, saved.model_module);
      const attributes = await Model._deserialize_state(saved.state, manager);
      const model = new Model(attributes, { widget_manager: manager, model_id: id });
      model.name = saved.model_name;
      model.module = saved.model_module;
      return model;
    }

    // Links and other models without a view have to be made as well.
    Object.keys(state).forEach((id) => manager.get_model(id).catch(nothing));
    return manager;
  }

  function fromBase64(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  function renderOutput(output) {
    const data = output.data ?? {};
    const element = document.createElement("div");
    const image = Object.keys(data).find((type) => /^image\/(png|jpeg)$/.test(type));
    if (data[VIEW]) {
      notebook.render(data[VIEW], element);
    } else if (data["text/html"]) {
      element.innerHTML = [data["text/html"]].flat().join("");
    } else if (image) {
      const picture = document.createElement("img");
      picture.src = `data:${image};base64,${data[image]}`;
      element.append(picture);
    } else {
      const text = output.text ?? output.traceback ?? data["text/plain"] ?? "";
      const block = document.createElement("pre");
      block.textContent = [text].flat().join("");
      element.append(block);
    }
    return element;
  }
})();
