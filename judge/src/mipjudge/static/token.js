"use strict";
// The team's token, which each tab of the judge keeps until it is closed. A tab without one asks the others, so that links
// may be opened in new tabs. Only pages of this origin hear them, and nothing is written to the disk.
const tabs = new BroadcastChannel("token");
let token = sessionStorage.getItem("token") || "";

function keepToken(text) {
  token = text;
  sessionStorage.setItem("token", token);
}

tabs.onmessage = ({ data }) => {
  if (!data && token) tabs.postMessage(token); // somebody asks
  if (data && !token) {
    keepToken(data);
    dispatchEvent(new Event("token"));
  }
};
if (!token) tabs.postMessage("");
