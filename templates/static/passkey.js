// Passkeys are the one thing that needs a script. It is loaded in the head, so
// that what needs it is there, or not, from the first paint.
//
//   data-passkey="get"     a button; data-step="second" for the MFA page
//   data-passkey="create"  a form with its options in data-options
//   data-passkey-form      the form that takes the answer of "get"
//   data-passkey-problem   words that are shown when the browser gives up
(() => {
  "use strict";
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  const root = document.documentElement;
  root.classList.add("passkeys");

  const renewEvery = 4 * 60 * 1000; // milliseconds; a challenge is good for five minutes
  let waiting = null; // the offer in the address field, of which a browser takes one at a time

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  const ask = async (step) => {
    const answer = await fetch("/login/passkey/options" + (step ? "?step=" + step : ""), { method: "POST", credentials: "same-origin" });
    if (answer.status === 404) root.classList.remove("passkeys"); // this service has none
    if (!answer.ok) throw new Error("no challenge");
    const { publicKey } = await answer.json();
    return { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: known(publicKey.allowCredentials) };
  };

  const answer = (c) => {
    const r = c.response;
    const response = { clientDataJSON: text(r.clientDataJSON) };
    if (r.attestationObject) {
      response.attestationObject = text(r.attestationObject);
      response.transports = r.getTransports ? r.getTransports() : [];
    } else {
      response.authenticatorData = text(r.authenticatorData);
      response.signature = text(r.signature);
      if (r.userHandle) response.userHandle = text(r.userHandle);
    }
    return JSON.stringify({
      id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: {},
      ...(c.authenticatorAttachment ? { authenticatorAttachment: c.authenticatorAttachment } : {}), response,
    });
  };

  const problem = () => {
    const words = document.querySelector("[data-passkey-problem]");
    if (!words) return;
    words.hidden = false;
    words.setAttribute("role", "alert");
  };

  const submit = (form, credential) => {
    form.elements.credential.value = answer(credential);
    form.requestSubmit(form.querySelector("button[name=action]") || undefined);
  };

  const get = async (button) => {
    if (waiting) waiting.abort();
    try {
      const publicKey = await ask(button.dataset.step);
      submit(document.querySelector("[data-passkey-form]"), await navigator.credentials.get({ publicKey }));
    } catch {
      problem();
      offer();
    }
  };

  // offer lets the browser propose passkeys in the address field.
  const offer = async () => {
    const form = document.querySelector("[data-passkey-form=offer]");
    if (!form || !PublicKeyCredential.isConditionalMediationAvailable) return;
    if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
    const mine = new AbortController();
    waiting = mine;
    const renew = setTimeout(() => { mine.abort(); offer(); }, renewEvery);
    mine.signal.addEventListener("abort", () => clearTimeout(renew));
    try {
      const publicKey = await ask();
      if (mine.signal.aborted) return;
      submit(form, await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal }));
    } catch {
      // Nobody chose one.
    }
  };

  const create = async (form) => {
    try {
      const { publicKey } = JSON.parse(form.dataset.options);
      publicKey.challenge = bytes(publicKey.challenge);
      publicKey.user.id = bytes(publicKey.user.id);
      publicKey.excludeCredentials = known(publicKey.excludeCredentials);
      submit(form, await navigator.credentials.create({ publicKey }));
    } catch (failure) {
      console.info("passkey:", failure.name);
      problem();
    }
  };

  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button[data-passkey=get]")) button.addEventListener("click", () => get(button));
    for (const form of document.querySelectorAll("form[data-passkey=create]")) {
      form.addEventListener("submit", (event) => {
        if (form.elements.credential.value) return;
        event.preventDefault();
        create(form);
      });
    }
    offer();
  });
})();
