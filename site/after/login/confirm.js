// The second device: answers on the ticket's channel, once.
import { publish } from "../ask.js";
import { begin, whyUnsaid } from "../page.js";
import { clock } from "../pause.js";
import { channelOf, isTicket, shortOf } from "./ticket.js";

// The fragment of a URL stays in the browser: the ticket is in no log of any server.
const ticket = location.hash.slice(1);
const told = document.getElementById("told");

// [confirm]
async function answer(word) {
  await publish(channelOf(ticket), { answer: word, sent: clock() });
  told.textContent = word === "yes" ? "Done. Look at the other screen." : "Declined.";
  for (const button of document.querySelectorAll("[data-answer]")) button.disabled = true;
}
// [/confirm]

if (isTicket(ticket)) {
  document.getElementById("short").textContent = shortOf(ticket);
  begin("demo/login", () => {
    for (const button of document.querySelectorAll("[data-answer]")) {
      button.addEventListener("click", () => {
        answer(button.dataset.answer).catch((error) => (told.textContent = whyUnsaid(error)));
      });
    }
  });
} else {
  told.textContent = "There is no ticket in this address. Open it from the waiting screen.";
}
