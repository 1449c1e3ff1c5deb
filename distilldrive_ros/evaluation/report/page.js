(function () {
  "use strict";
  var frames = Array.prototype.slice.call(document.querySelectorAll(".frame"));
  if (!frames.length) { return; }
  document.documentElement.classList.add("js");
  var slider = document.getElementById("frame-slider");
  var output = document.getElementById("frame-number");
  var play = document.getElementById("frame-play");
  var zoom = document.getElementById("zoom");
  var timer = null;

  function show(index) {
    var at = (index + frames.length) % frames.length;
    frames.forEach(function (frame, i) { frame.classList.toggle("current", i === at); });
    slider.value = String(at);
    output.textContent = (at + 1) + " of " + frames.length;
  }
  function step(by) { show(Number(slider.value) + by); }
  function stop() { window.clearInterval(timer); timer = null; play.textContent = "Play"; }

  slider.addEventListener("input", function () { stop(); show(Number(slider.value)); });
  document.getElementById("frame-before").addEventListener("click", function () { stop(); step(-1); });
  document.getElementById("frame-after").addEventListener("click", function () { stop(); step(1); });
  play.addEventListener("click", function () {
    if (timer !== null) { stop(); return; }
    play.textContent = "Stop";
    timer = window.setInterval(function () { step(1); }, 700);
  });
  document.addEventListener("keydown", function (event) {
    if (event.target === slider || zoom.open) { return; }
    if (event.key === "ArrowLeft") { stop(); step(-1); }
    if (event.key === "ArrowRight") { stop(); step(1); }
  });
  document.addEventListener("click", function (event) {
    if (zoom.open) { zoom.close(); return; }
    if (event.target.matches(".cameras img")) {
      zoom.firstElementChild.src = event.target.src;
      zoom.firstElementChild.alt = event.target.alt;
      zoom.showModal();
    }
  });
  show(0);
})();
