// The search of this site is a Worker, and browsers refuse a Worker to a page that was opened from a disk. There this class takes
// the Worker's place: it runs the same script in a hidden frame, and passes messages to and from it.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = `<script>
        postMessage = (data) => parent.postMessage(data, "*");
        importScripts = async (...urls) => {
          for (const src of urls)
            await new Promise((done) => document.body.append(Object.assign(document.createElement("script"), { src, onload: done })));
        };
      </script><script src="${new URL(url, location.href)}"></script>`;
      this.frame = frame;
      this.loaded = new Promise((done) => frame.addEventListener("load", done));
      window.addEventListener("message", (event) => {
        if (event.source === frame.contentWindow) this.dispatchEvent(new MessageEvent("message", { data: event.data }));
      });
      const append = () => document.body.append(frame);
      document.body ? append() : document.addEventListener("DOMContentLoaded", append);
    }

    postMessage(data) {
      this.loaded.then(() => window.postMessage.call(this.frame.contentWindow, data, "*")); // the frame's own leads here
    }
  };
}
