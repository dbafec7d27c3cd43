// The landing script of PartnerPulse. A page takes it with
//   <script async src="https://EDGE/t.js"></script>
// It needs nothing, keeps nothing that must last, and the page works without it. Comments and indentation do not go out.
((w, d) => {
  'use strict';
  const me = d.currentScript || d.querySelector('script[src*="/t.js"]');
  // Twice on a page is once.
  if (!me || w.pulse && w.pulse.consent) return;

  const key = 'pp_click';
  const edge = new URL('t', me.src).href;
  const gpc = !!navigator.globalPrivacyControl;
  const inAddress = (/[?&]pp_click=([\da-f-]{36})(?=&|$)/i.exec(location.search) || [])[1];
  // granted, denied, pending, or null: the page says nothing of consent.
  let consent = me.getAttribute('data-consent');
  let origins = [], asked, unanswered, nonce, settle;

  // What the tab remembers for the pages that follow in it. Nothing where nothing may be kept, or the browser keeps nothing.
  const memory = value => {
    try {
      if (gpc || consent == 'denied') sessionStorage.removeItem(key);
      else if (consent == 'pending') return;
      else if (value) sessionStorage.setItem(key, JSON.stringify(value));
      else return JSON.parse(sessionStorage.getItem(key));
    } catch { }
  };

  // A landing is an entry of the tab's history: shown again, by reload or back, it is the same landing, and a new visit is a
  // new entry. So its number lies there, where a cookie blocker lets it lie.
  const landing = () => {
    const state = history.state;
    if (state && state.pp_landing) return state.pp_landing;
    const number = Array.from(crypto.getRandomValues(new Uint8Array(16)), b => (b + 256).toString(16).slice(1)).join('');
    try {
      if (!state || state.constructor == Object) history.replaceState({ ...state, pp_landing: number }, '');
    } catch { }
    return number;
  };

  const body = click => JSON.stringify({
    url: location.href.split('#')[0], referrer: d.referrer, nonce, click, consent: consent || undefined, gpc: gpc || undefined
  });

  // Text, which needs no preflight. It outlives the page where the browser can do that; see pagehide for the others.
  const send = click => {
    unanswered = true;
    fetch(edge, { method: 'POST', body: body(click), credentials: 'include', keepalive: true })
      .then(answer => answer.ok ? answer.json() : {})
      .catch(() => ({}))
      .then(answer => {
        unanswered = false;
        if (answer.click) know(answer.click, answer.origins);
        settle(pulse.click);
      });
  };

  const know = (click, of) => {
    pulse.click = click;
    if (of) {
      origins = of;
      asked = true;
    }
    memory({ click, origins, nonce });
    fill();
  };

  const land = again => {
    const kept = memory() || {};
    if (kept.click) {
      pulse.click = kept.click;
      origins = kept.origins;
      asked = origins.length;
    }
    if (inAddress) know(inAddress);
    if (consent != 'pending') {
      if (again || location.search && !inAddress) nonce = landing();
      if (again || nonce && kept.nonce != nonce) send(inAddress);
      else settle(pulse.click);
    }
    fill();
  };

  const fill = () => {
    const click = pulse.click;
    if (click) d.querySelectorAll('[data-pulse]').forEach(e => {
      if (!e.href) {
        if ('value' in e) e.value = click;
      } else if (e.origin == location.origin || origins.includes(e.origin)) {
        // The merchant's own parameters stay as they are written; URLSearchParams would write them anew.
        const [, page, query, fragment] = /^([^?#]*)\??([^#]*)(.*)/.exec(e.href);
        e.href = page + '?' + query.split('&').filter(p => p && p.indexOf(key + '=')).concat(key + '=' + click).join('&') + fragment;
      } else if (/^http/.test(e.protocol) && !asked && !unanswered) {
        // Which other origins are the merchant's, the edge knows. With the click at hand it records nothing.
        asked = true;
        send(click);
      }
    });
  };

  const pulse = w.pulse = {
    click: null,
    ready: new Promise(resolve => settle = resolve),
    fill,
    consent: yes => {
      const now = yes ? 'granted' : 'denied';
      if (consent != now) {
        consent = now;
        land(!yes);
      }
    }
  };

  const start = () => {
    land();
    // Whatever came into the page meanwhile is filled in time.
    for (const event of ['DOMContentLoaded', 'submit', 'click']) d.addEventListener(event, fill, true);
    w.addEventListener('pagehide', () => {
      const undecided = consent == 'pending' && location.search && !inAddress;
      if (undecided) nonce = landing();
      if (undecided || unanswered && !('keepalive' in Request.prototype)) navigator.sendBeacon(edge, body());
    });
  };

  // A page that is drawn ahead is no visit yet.
  if (d.prerendering) d.addEventListener('prerenderingchange', start, { once: true });
  else start();
})(window, document);
