(function(){var d=document,t=d.getElementById("tree"),f=d.getElementById("filter"),o=false;if(!t||!f)return;d.documentElement.className="js";
function open(v){t.querySelectorAll("details").forEach(function(e){e.open=v})}
d.getElementById("open").onclick=function(){open(true)};d.getElementById("close").onclick=function(){open(false)};
function show(){var q=f.value.toLowerCase();t.querySelectorAll("li").forEach(function(e){e.hidden=false});if(!q&&!o)return;
var all=Array.prototype.slice.call(t.querySelectorAll("li")).reverse();all.forEach(function(e){var own=e.firstElementChild,s=own.tagName==="DETAILS"?own.firstElementChild:own,hit=(!q||s.textContent.toLowerCase().indexOf(q)>=0)&&(!o||s.querySelector(".deny"));
var kid=Array.prototype.some.call(e.querySelectorAll("li"),function(k){return !k.hidden});e.hidden=!(hit||kid);if(kid&&own.tagName==="DETAILS")own.open=true})}
f.oninput=show;d.getElementById("denied").onclick=function(){o=!o;this.setAttribute("aria-pressed",o);show()}})();
