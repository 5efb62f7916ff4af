"use strict";

// Search runs in a Worker, and a page that was opened from the disk may start none. On such a page a hidden frame, which
// shares the page's origin, runs the same script: it gets the four things of a worker that the search uses (postMessage,
// onmessage or addEventListener, importScripts). Pages from a server keep real workers.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.script = new URL(url, document.baseURI).href;
      this.waiting = []; // messages from before the script was there
      this.ready = false;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "search";
      document.body.append(this.frame);
      this.inside = this.frame.contentWindow;
      this.inside.postMessage = (data) => {
        this.dispatchEvent(new MessageEvent("message", { data }));
      };
      this.inside.importScripts = (...urls) =>
        urls.reduce((before, each) => before.then(() => this.load(each)), Promise.resolve());
      this.load(this.script).then(() => {
        this.ready = true;
        this.waiting.splice(0).forEach((data) => this.deliver(data));
      });
    }

    load(url) {
      return new Promise((resolve, reject) => {
        const script = this.inside.document.createElement("script");
        script.src = new URL(url, this.script).href;
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${url} could not be read`));
        this.inside.document.head.append(script);
      });
    }

    postMessage(data) {
      if (this.ready) this.deliver(data);
      else this.waiting.push(data);
    }

    deliver(data) {
      const event = new this.inside.MessageEvent("message", { data });
      this.inside.dispatchEvent(event); // window.onmessage is called by this too
    }

    terminate() {
      this.frame.remove();
    }
  };
}
