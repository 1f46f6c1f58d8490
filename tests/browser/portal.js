// portal.js: a real browser's way through the portal; prints TAP. Run by test_portal.py, which makes the
// network: BASE, SITE, SHOTS (a folder), LOGOUT (a command that signs ann out as an operator does).
"use strict";
const { execSync } = require("child_process");
const fs = require("fs");
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const { BASE, SITE, SHOTS, LOGOUT, PASSWORD } = process.env;

const flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
	"--disable-background-networking"];
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
let browser, number = 0;

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
	page.on("request", r => said.push(...(/^(https:\/\/gate\.|https?:\/\/www\.)/.test(r.url())
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

const tests = [
	["denied site, portal, sign in, the site loads, sign out, its connection ends", async (page, context) => {
		const failed = await failure(context, `https://${SITE}/`);
		check(/ERR_CONNECTION_RESET|ERR_CONNECTION_REFUSED/.test(failed), "not denied: " + failed);
		await page.goto(`http://${SITE}/`);
		check(page.url() === `${BASE}/blocked?to=${SITE}`, "at " + page.url());
		await look(page, "blocked");
		await signIn(page);
		await page.getByRole("heading", { name: "You are signed in" }).waitFor();
		await look(page, "signed-in");
		const site = await context.newPage();
		const got = await site.goto(`https://${SITE}/`);
		check(got.status() === 200, "status " + got.status());
		await page.getByRole("button", { name: "Sign out" }).click();
		await page.getByRole("heading", { name: "You are signed out" }).waitFor();
		await look(page, "signed-out");
		check(/ERR_/.test(await failure(context, `https://${SITE}/again`)), "still there");
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
	browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
	for (const [name, run, options] of tests) await test(name, run, options);
	await browser.close();
})().catch(e => {
	console.log("# " + e.stack);
	process.exit(1);
});
