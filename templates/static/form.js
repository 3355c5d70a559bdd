// What makes forms nicer where scripts run; each of them works without. It is
// loaded in the head, so that what needs it is there from the first paint.
//
//   data-reveal="id"       a button that shows what is typed in a password field
//   data-strength="path"   rates the form's new password while it is typed, and says so in its paragraph
//   every form             says that it is busy once it is sent, and is sent once
//   data-copy="id"         a button, hidden until now, that copies the text of the element
//   data-print             a button, hidden until now, that prints the page
//   .tabs                  shows the tab of the page
(() => {
  "use strict";
  document.documentElement.classList.add("scripted");

  const rests = 350; // milliseconds without a key, after which typing is rated
  const busy = 8000; // milliseconds after which a form may be sent again: its answer may be a file

  const reveal = (button) => {
    const field = document.getElementById(button.dataset.reveal);
    const show = (shown) => {
      field.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", shown);
    };
    button.addEventListener("click", () => { show(field.type === "password"); field.focus(); });
    field.form.addEventListener("submit", () => show(false)); // browsers remember what text fields had
  };

  const rate = (box) => {
    const field = document.getElementById(box.dataset.for);
    const bar = box.querySelector("[role=meter]"), words = box.querySelector("p"), usual = words.textContent;
    let timer = 0, asked = new AbortController();

    const say = (strength, text) => {
      box.dataset.level = strength;
      bar.setAttribute("aria-valuenow", Math.max(strength, 0));
      bar.setAttribute("aria-valuetext", strength < 0 ? "" : text);
      if (words.textContent !== text) words.textContent = text;
    };
    const stop = () => { clearTimeout(timer); asked.abort(); };
    const ask = async () => {
      asked = new AbortController();
      const { email, username, name } = field.form.elements;
      const body = new URLSearchParams({ password: field.value, email: (email || username || {}).value || "", name: (name || {}).value || "" });
      try {
        const answer = await fetch(box.dataset.strength, { method: "POST", body, cache: "no-store", signal: asked.signal });
        if (!answer.ok) throw new Error("not rated");
        const rating = await answer.json();
        say(rating.strength, rating.says);
      } catch {
        if (!asked.signal.aborted) say(-1, usual);
      }
    };
    field.addEventListener("input", () => {
      stop();
      words.style.minHeight = words.offsetHeight + "px"; // nothing below jumps while somebody types
      if (field.value) timer = setTimeout(ask, rests); else say(-1, usual);
    });
    field.form.addEventListener("submit", stop);
    addEventListener("pagehide", stop);
  };

  const copy = (button) => {
    if (!navigator.clipboard) return;
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(source.innerText.trim());
        button.textContent = button.dataset.copied;
      } catch {
        getSelection().selectAllChildren(source);
      }
    });
  };

  const paper = (button) => {
    button.hidden = false;
    button.addEventListener("click", () => print());
  };

  const send = (event) => {
    if (event.defaultPrevented) return;
    const form = event.target, button = event.submitter;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    if (button) button.setAttribute("aria-busy", "true");
    setTimeout(() => rest(form), busy);
  };
  const rest = (form) => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  };

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-reveal]").forEach(reveal);
    document.querySelectorAll("[data-strength]").forEach(rate);
    document.querySelectorAll("[data-copy]").forEach(copy);
    document.querySelectorAll("[data-print]").forEach(paper);
    document.addEventListener("submit", send);
    const tab = document.querySelector(".tabs [aria-current]");
    if (tab) tab.closest("ul").scrollLeft = tab.offsetLeft - tab.closest("ul").clientWidth / 2 + tab.offsetWidth / 2;
  });
  addEventListener("pageshow", (event) => { if (event.persisted) document.querySelectorAll("form").forEach(rest); });
})();
