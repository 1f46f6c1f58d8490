// portal.js: a real browser's way through the portal; prints TAP. Run by test_portal.py, which makes the
// network: BASE, SITE, SHOTS (a folder), LOGOUT and LOGIN (commands of an operator: out goes who is in, in comes ann).
"use strict";
const { execSync } = require("child_process");
const fs = require("fs");
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { BASE, SITE, SHOTS, LOGOUT, LOGIN, PASSWORD } = process.env;

const flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
	"--disable-background-networking"];
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
let browser, quic, number = 0;

function check(condition, what) {
	if (!condition) throw new Error(what);
}

async function test(name, run, options = {}) {
	number++;
	const context = await browser.newContext({ locale: "en-GB", ...options });
	const page = await context.newPage();
	const said = [];
	page.on("console", m => said.push(m.text()));
	page.on("pageerror", e => said.push(String(e)));
	page.on("request", r => said.push(...(/^(https:\/\/gate\.|https?:\/\/www\.|http:\/\/(10\.77\.1\.1|\[fd77:1::1\])\/blocked\?)/.test(r.url())
		? [] : ["asks " + r.url()])));
	try {
		await run(page, context);
		const own = said.filter(s => /Content Security|asks /.test(s));
		check(own.length === 0, "the browser complains: " + own.join("; "));
		console.log(`ok ${number} - ${name}`);
	} catch (e) {
		console.log(`not ok ${number} - ${name}`);
		console.log(String(e.stack).replace(/^/gm, "# "));
		await page.screenshot({ path: `${SHOTS}/failed-${number}.png` }).catch(() => {});
	}
	execSync(LOGOUT, { stdio: "ignore" });
	await context.close();
}

// axe needs to run its script in the page, which the page's own policy forbids: it is read into the
// context of the browser's tools.
async function accessible(page) {
	const found = await page.evaluate(async source => {
		(0, eval)(source);
		return (await window.axe.run(document)).violations.map(v =>
			v.id + ": " + v.nodes.map(n => n.target.join(" ")).join(", "));
	}, axe);
	check(found.length === 0, "axe: " + found.join("; "));
	const size = (await page.content()).length;
	check(size < 30000, "a page of " + size);
	const over = await page.evaluate(() =>
		document.documentElement.scrollWidth - document.documentElement.clientWidth);
	check(over <= 0, `the page is ${over} pixels too wide`);
}

async function look(page, name) {
	await accessible(page);
	await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
}

async function signIn(page, user = "ann", password = PASSWORD) {
	await page.getByLabel("User name").fill(user);
	await page.getByLabel("Password").fill(password);
	await page.getByRole("button", { name: "Sign in" }).click();
}

// Opens a site in a page of its own; what the browser says where it cannot.
async function failure(context, url) {
	const page = await context.newPage();
	let said = "";
	await page.goto(url).catch(e => said = e.message);
	await page.close();
	return said;
}

// Opens the site in a page of its own, by the protocol that is wanted, and leaves an answer open there
// that never ends.
async function openStream(context, protocol) {
	const page = await context.newPage();
	const got = await page.goto(`https://${SITE}/`);
	check(got.status() === 200, "status " + got.status());
	const spoken = await page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
	check(spoken === protocol, `the site came over ${spoken}, not ${protocol}`);
	await page.evaluate(() => {
		window.stream = { bytes: 0, last: 0, ended: "" };
		fetch("/stream").then(async answer => {
			const reader = answer.body.getReader();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) throw new Error("done");
				window.stream.bytes += value.length;
				window.stream.last = performance.timeOrigin + performance.now();
			}
		}).catch(e => window.stream.ended = String(e));
	});
	await page.waitForFunction(() => window.stream.bytes > 100);
	return page;
}

// Waits until the open answer has ended (TCP: it is reset) or nothing more comes (HTTP/3); says when
// the last of it came.
async function streamEnds(page, since, reset) {
	await page.waitForFunction(mayBeSilent => window.stream.ended ||
		(mayBeSilent && performance.timeOrigin + performance.now() - window.stream.last > 2000),
		!reset, { timeout: 15000 });
	const stream = await page.evaluate(() => window.stream);
	console.log(`# ${reset ? "TCP" : "HTTP/3"}: the last bytes ${Math.round(stream.last - since)} ms after, ${stream.ended || "silent"}`);
	check(!reset || /Error/.test(stream.ended), "no reset: " + stream.ended);
}

const tests = [
	["denied site, portal, sign in, the site loads over TCP and HTTP/3, sign out, open answers end", async (page, context) => {
		const other = await quic.newContext();
		for (const c of [context, other]) {
			const failed = await failure(c, `https://${SITE}/`);
			check(/ERR_/.test(failed), "not denied: " + failed);
		}
		await page.goto(`http://${SITE}/`);
		check(page.url() === `${BASE}/blocked?to=${SITE}`, "at " + page.url());
		await look(page, "blocked");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		await look(page, "signed-in");
		const tcp = await openStream(context, "h2"), udp = await openStream(other, "h3");
		const since = Date.now();
		await page.getByRole("button", { name: "Sign out" }).click();
		await streamEnds(tcp, since, true);
		await streamEnds(udp, since, false);
		await page.getByRole("heading", { name: "You are signed out" }).waitFor();
		await look(page, "signed-out");
		for (const c of [context, other])
			check(/ERR_/.test(await failure(c, `https://${SITE}/again`)), "still there");
		await other.close();
	}],
	["the link to the site leads on to it", async page => {
		await page.goto(`http://${SITE}/`);
		await signIn(page);
		await page.getByRole("link", { name: SITE }).click();
		await page.waitForURL(`https://${SITE}/`);
	}],
	["a session expires: the open answer ends, and the page asks to sign in again", async (page, context) => {
		await page.goto(BASE + "/");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		const address = await page.locator("dt", { hasText: "This device" }).locator("xpath=../dd").textContent();
		const tcp = await openStream(context, "h2");
		execSync(`${LOGIN} --address ${address} --for 2s`, { stdio: "ignore" });
		await streamEnds(tcp, Date.now() + 2000, true);
		await page.reload();
		await page.getByRole("heading", { name: "Sign in" }).waitFor();
		await look(page, "expired");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
	}],
	["a tier's denied plain request shows the page that says why", async page => {
		await page.goto(BASE + "/");
		await signIn(page, "bob");
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		await page.goto("http://www.denied.example/some/path");
		check(page.url() === `${BASE}/blocked?to=www.denied.example`, "at " + page.url());
		await page.getByText("no rule allows it").waitFor();
		await look(page, "blocked-by-tier");
		await page.goto(`${BASE}/why?to=${SITE}`);
		await page.getByText("the press office").first().waitFor();
		await page.getByText("for those who write").first().waitFor();
		await look(page, "why-whom-to-ask");
	}],
	["wrong password: said, and the fields are there again", async page => {
		await page.goto(BASE + "/");
		await look(page, "sign-in");
		await signIn(page, "ann", "wrong");
		const alert = page.getByRole("alert");
		await alert.waitFor();
		check((await alert.textContent()).includes("wrong"), "no word");
		await look(page, "wrong-password");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
	}],
	["an operator's logout: the next page asks to sign in again", async page => {
		await page.goto(BASE + "/");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		execSync(LOGOUT, { stdio: "ignore" });
		await page.reload();
		await page.getByRole("heading", { name: "Sign in" }).waitFor();
	}],
	["why was I denied: the denials, and a question", async (page, context) => {
		await page.goto(BASE + "/");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		await failure(context, "https://www.denied.example/");
		await page.goto(BASE + "/");
		await page.getByRole("link", { name: "Why was I denied?" }).click();
		for (let i = 0; i < 20 && !(await page.content()).includes("www.denied.example"); i++)
			await page.reload();
		await page.getByRole("heading", { name: "www.denied.example" }).waitFor();
		await look(page, "why");
		await page.getByLabel("Site").fill(SITE);
		await page.getByRole("button", { name: "Ask" }).click();
		await page.getByRole("status").waitFor();
		check((await page.getByRole("status").textContent()).includes("allowed"), "no answer");
		await look(page, "why-question");
	}],
	["keyboard alone", async page => {
		await page.goto(BASE + "/");
		await page.keyboard.press("Tab");
		check(await page.evaluate(() => document.activeElement.className) === "skip", "no skip link");
		await page.screenshot({ path: `${SHOTS}/keyboard.png` });
		await page.keyboard.press("Enter");
		for (let i = 0; i < 10; i++) {
			await page.keyboard.press("Tab");
			if (await page.evaluate(() => document.activeElement.id) === "user") break;
		}
		await page.keyboard.type("ann");
		await page.keyboard.press("Tab");
		await page.keyboard.type(PASSWORD);
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		for (let i = 0; i < 10; i++) {
			await page.keyboard.press("Tab");
			if (await page.evaluate(() => document.activeElement.tagName) === "BUTTON") break;
		}
		await page.keyboard.press("Enter");
		await page.getByRole("heading", { name: "You are signed out" }).waitFor();
	}],
	["dark mode", async page => {
		await page.goto(BASE + "/");
		const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
		check(/rgb\((\d+)/.exec(ground)[1] < 60, "the ground is " + ground);
		await look(page, "dark-sign-in");
		await signIn(page, "ann", "wrong");
		await look(page, "dark-wrong-password");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		await look(page, "dark-signed-in");
	}, { colorScheme: "dark" }],
	["a phone's width, in Bulgarian", async page => {
		await page.goto(BASE + "/");
		await look(page, "phone-sign-in");
		await page.getByLabel("Потребителско име").fill("ann");
		await page.getByLabel("Парола").fill(PASSWORD);
		await page.getByRole("button", { name: "Вход" }).click();
		await page.getByRole("heading", { name: "Вие сте влезли" }).waitFor();
		await look(page, "phone-signed-in");
		await page.getByRole("link", { name: "Защо ми беше отказано?" }).click();
		await page.getByRole("heading", { name: "Защо ми беше отказано?" }).waitFor();
		await look(page, "phone-why");
		await page.getByRole("link", { name: "English" }).click();
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
	}, { ...phone, locale: "bg-BG" }],
	["without JavaScript", async page => {
		await page.goto(BASE + "/");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
	}, { javaScriptEnabled: false }],
];

(async () => {
	console.log(`1..${tests.length}`);
	const launch = more => chromium.launch({ executablePath: "/usr/bin/chromium", args: [...flags, ...more] });
	browser = await launch(["--disable-quic"]);
	quic = await launch(["--enable-quic", `--origin-to-force-quic-on=${SITE}:443`]);
	for (const [name, run, options] of tests) await test(name, run, options);
	await browser.close();
	await quic.close();
})().catch(e => {
	console.log("# " + e.stack);
	process.exit(1);
});
