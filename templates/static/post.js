// Sends the page's form without being asked: an answer on its way to an app. The
// page shows a button to whoever runs no scripts.
document.addEventListener("DOMContentLoaded", function () { document.forms[0].submit(); });
