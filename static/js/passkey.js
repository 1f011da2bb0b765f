// Passkeys: forms with data-passkey="make" or "use" ask the browser for a key of this device and send what it answers.
// The options stand in the element that data-options names (JSON) or, at log-in, behind the form's own address. Without this script there are codes and passwords.
"use strict";

(() => {
  if (!window.PublicKeyCredential) return;
  document.documentElement.classList.add("scripted");

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const keys = (list) => (list ?? []).map((key) => ({ ...key, id: bytes(key.id) }));

  function asked({ publicKey: options }, passwordless) {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    if (options.user) {
      publicKey.user = { ...options.user, id: bytes(options.user.id) };
      publicKey.excludeCredentials = keys(options.excludeCredentials);
      if (passwordless) {
        publicKey.authenticatorSelection = {
          ...options.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required",
        };
      }
    } else {
      publicKey.allowCredentials = keys(options.allowCredentials);
    }
    return { publicKey };
  }

  function answered(key) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (key.response[name]) response[name] = text(key.response[name]);
    }
    return { id: key.id, rawId: text(key.rawId), type: key.type, response, clientExtensionResults: key.getClientExtensionResults() };
  }

  async function options(form) {
    if (form.dataset.options) {
      const told = JSON.parse(document.getElementById(form.dataset.options).textContent);
      return told.creation_options ?? told.request_options;
    }
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error("Too many tries. Wait a few minutes.");
    return (await answer.json()).request_options;
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      const field = form.elements.namedItem("credential");
      if (field.value) return;
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      try {
        const wanted = asked(await options(form), form.elements.namedItem("passwordless")?.checked);
        const key = form.dataset.passkey === "make"
          ? await navigator.credentials.create(wanted) : await navigator.credentials.get(wanted);
        field.value = JSON.stringify(answered(key));
        form.requestSubmit();
      } catch (error) {
        problem.hidden = false;
        problem.textContent = error.name === "NotAllowedError"
          ? "No key was used: it was cancelled, or this device knows none. Try again."
          : `The key could not be used: ${error.message}`;
      }
    });
  }
})();
