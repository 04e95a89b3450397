// `hubgate warm REPO[@REV]`: pulls a repository through a running gate ahead of its users, so that
// it is scanned, and kept where the gate has a cache. It is a client like others: what the hub or
// the policy refuses, it gets refused.
#include "policy/commands/shared.hpp"
#include "proxy/hub/tree.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"

#include <boost/json.hpp>
#include <curl/curl.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_page = std::size_t{64} << 20;
constexpr std::size_t k_pages = 10'000;
constexpr int k_tries = 4;                           ///< after failures of the network
constexpr auto k_longest = std::chrono::minutes(60); ///< of one file that is always put off
constexpr auto k_progress = std::chrono::seconds(5);
constexpr const char* k_certificate = "gate.pem";

struct Flags {
  std::filesystem::path data;
  std::string repo, gate, ca, token_file;
  std::vector<std::string> include, exclude;
  unsigned jobs = 4;
  bool anonymous = false, quiet = false;
};

struct Answer {
  int status = 0; ///< 0: none
  std::string error, message, link, body;
  std::uint64_t bytes = 0;
  unsigned retry_after = 0;
  bool complete = false;
};

class Client {
public:
  Client(std::string base, std::string ca, const std::string& token)
      : base_(std::move(base)), ca_(std::move(ca)), curl_(curl_easy_init()) {
    if (!token.empty())
      fields_ = curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str());
  }
  ~Client() {
    curl_slist_free_all(fields_);
    curl_easy_cleanup(curl_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `keep`: the body is wanted. `bytes` counts what comes, as it comes.
  Answer ask(const std::string& target, bool head, bool keep, std::atomic<std::uint64_t>* bytes) {
    Answer out;
    if (curl_ == nullptr) {
      out.error = "out of memory";
      return out;
    }
    Taking taking{&out, keep, bytes};
    curl_easy_reset(curl_);
    const std::string url = base_ + target;
    const std::string agent = "hubgate-warm/" + std::string(engine_version());
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, agent.c_str());
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, fields_);
    curl_easy_setopt(curl_, CURLOPT_NOBODY, head ? 1L : 0L);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_TIME, 600L);
    curl_easy_setopt(curl_, CURLOPT_BUFFERSIZE, 262144L);
    if (!ca_.empty()) curl_easy_setopt(curl_, CURLOPT_CAINFO, ca_.c_str());
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &Client::take_body);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &taking);
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &Client::take_field);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, &taking);
    const CURLcode code = curl_easy_perform(curl_);
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    out.status = static_cast<int>(status);
    out.complete = code == CURLE_OK;
    if (!out.complete) out.error = curl_easy_strerror(code);
    return out;
  }

private:
  struct Taking {
    Answer* out;
    bool keep;
    std::atomic<std::uint64_t>* bytes;
  };

  static std::size_t take_body(char* data, std::size_t one, std::size_t n, void* to) {
    Taking& taking = *static_cast<Taking*>(to);
    const std::size_t size = one * n;
    taking.out->bytes += size;
    if (taking.bytes != nullptr) *taking.bytes += size;
    if (!taking.keep) return size;
    if (taking.out->body.size() + size > k_page) return 0;
    taking.out->body.append(data, size);
    return size;
  }

  static std::size_t take_field(char* data, std::size_t one, std::size_t n, void* to) {
    Taking& taking = *static_cast<Taking*>(to);
    const std::string_view line(data, one * n);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return line.size();
    const std::string name = lower(line.substr(0, colon));
    const std::string value(trimmed(line.substr(colon + 1)));
    const std::string text = value.substr(0, value.find_first_of("\r\n"));
    if (name == "x-error-message") taking.out->message = text;
    if (name == "link") taking.out->link = text;
    if (name == "retry-after")
      taking.out->retry_after =
          static_cast<unsigned>(std::min<std::uint64_t>(parse_decimal(text).value_or(1), 60));
    return line.size();
  }

  std::string base_;
  std::string ca_;
  CURL* curl_;
  curl_slist* fields_ = nullptr;
};

std::string encoded(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    out += percent_encoded(path.substr(0, end));
    if (end < path.size()) out += '/';
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

/// "datasets/org/name@v1".
struct Wanted {
  std::string kind = "models";
  std::string name;     ///< org/name
  std::string prefix;   ///< "" or "datasets/"
  std::string revision; ///< as it was given
};

Wanted wanted_from(const std::string& text) {
  Wanted out;
  const std::size_t at = text.rfind('@');
  out.revision = at == std::string::npos ? "main" : text.substr(at + 1);
  out.name = text.substr(0, at);
  for (const std::string_view kind: {"datasets", "spaces", "kernels", "models"})
    if (out.name.starts_with(std::string(kind) + "/")) {
      out.kind = kind;
      out.name.erase(0, kind.size() + 1);
      break;
    }
  if (out.kind != "models") out.prefix = out.kind + "/";
  return out;
}

// The whole answer to a GET of JSON, tried again while the gate is busy.
Result<std::string> page(Client& client, const std::string& target, std::string& link) {
  Answer answer;
  for (int attempt = 0; attempt < k_tries; ++attempt) {
    answer = client.ask(target, false, true, nullptr);
    if (answer.complete && answer.status == 200) {
      link = answer.link;
      return std::move(answer.body);
    }
    const bool again = answer.status == 0 || answer.status == 429 || answer.status >= 500;
    if (!again) break;
    std::this_thread::sleep_for(std::chrono::seconds(std::max(1u, answer.retry_after)));
  }
  std::string why = answer.message.empty() ? answer.error : answer.message;
  if (answer.status != 0) why = std::to_string(answer.status) + " " + why;
  return Error{printable(target, 200) + ": " + printable(why, 400)};
}

Result<std::string> commit_of(Client& client, const Wanted& wanted) {
  std::string link;
  const std::string text = HUBGATE_TRY(page(client,
                                            "/api/" + wanted.kind + "/" + encoded(wanted.name) +
                                                "/revision/" + percent_encoded(wanted.revision),
                                            link));
  boost::system::error_code failed;
  const auto value = boost::json::parse(text, failed);
  const auto* object = failed ? nullptr : value.if_object();
  const auto* sha = object != nullptr ? object->if_contains("sha") : nullptr;
  if (sha == nullptr || !sha->is_string()) return Error{"the hub names no commit for it"};
  return std::string(sha->get_string());
}

// The next page, wherever the gate says that it is: asked of the gate that we talk to.
std::optional<std::string> next_of(const std::string& link) {
  const std::size_t open = link.find('<');
  const std::size_t close = link.find('>');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  const auto url = parse_url(link.substr(open + 1, close - open - 1));
  return url ? next_page(link, url->origin) : std::nullopt;
}

Result<std::vector<ListedFile>> files_of(Client& client, const Wanted& wanted,
                                         const std::string& commit) {
  std::vector<ListedFile> out;
  std::string target = "/api/" + wanted.kind + "/" + encoded(wanted.name) + "/tree/" + commit +
                       "?recursive=true&expand=false";
  for (std::size_t n = 0; n < k_pages; ++n) {
    std::string link;
    const std::string text = HUBGATE_TRY(page(client, target, link));
    std::vector<ListedFile> files = HUBGATE_TRY(parse_tree_page(text));
    std::move(files.begin(), files.end(), std::back_inserter(out));
    const auto next = next_of(link);
    if (!next) return out;
    target = *next;
  }
  return Error{"the listing does not end"};
}

bool selected(const Flags& flags, std::string_view path) {
  const auto matches = [&](const std::string& pattern) { return path_glob_matches(pattern, path); };
  return (flags.include.empty() ||
          std::any_of(flags.include.begin(), flags.include.end(), matches)) &&
         std::none_of(flags.exclude.begin(), flags.exclude.end(), matches);
}

/// What the threads share.
struct Work {
  Work(const Flags& flags_, Wanted wanted_, std::string commit_, std::vector<ListedFile> files_)
      : flags(flags_), wanted(std::move(wanted_)), commit(std::move(commit_)),
        files(std::move(files_)) {}
  const Flags& flags;
  Wanted wanted;
  std::string commit;
  std::vector<ListedFile> files;
  std::string base, ca, token;
  std::atomic<std::size_t> next{0}, passed{0}, refused{0}, failed{0}, running{0};
  std::atomic<std::uint64_t> bytes{0};
  std::mutex output;
};

void tell(Work& work, const std::string& line) {
  const std::lock_guard lock(work.output);
  std::cerr << "hubgate: " << line << "\n" << std::flush;
}

// One file, until it came, was refused or failed.
void pull(Work& work, Client& client, const ListedFile& file) {
  const std::string repo = "/" + work.wanted.prefix + encoded(work.wanted.name) + "/resolve/";
  const std::string target = repo + work.commit + "/" + encoded(file.path);
  const auto until = std::chrono::steady_clock::now() + k_longest;
  Answer answer;
  for (int failures = 0; failures < k_tries;) {
    answer = client.ask(target, false, false, &work.bytes);
    if (answer.complete && answer.status == 200) {
      // Under the name that people ask for, too.
      if (work.wanted.revision != work.commit)
        client.ask(repo + percent_encoded(work.wanted.revision) + "/" + encoded(file.path), true,
                   false, nullptr);
      ++work.passed;
      return;
    }
    if (answer.complete && answer.status == 403) {
      ++work.refused;
      tell(work, printable(file.path, 300) + ": refused: " + printable(answer.message, 500));
      return;
    }
    const bool busy = answer.complete && answer.status == 429;
    if (!busy || std::chrono::steady_clock::now() > until) ++failures;
    if (answer.complete && answer.status / 100 == 4 && !busy) break;
    std::this_thread::sleep_for(std::chrono::seconds(std::max(1u, answer.retry_after)));
  }
  ++work.failed;
  std::string why = answer.message.empty() ? answer.error : answer.message;
  if (answer.status != 0) why = "status " + std::to_string(answer.status) + " " + why;
  tell(work, printable(file.path, 300) + ": failed: " + printable(why, 500));
}

void pull_some(Work& work) {
  Client client(work.base, work.ca, work.token);
  for (std::size_t at = work.next++; at < work.files.size(); at = work.next++)
    pull(work, client, work.files[at]);
  --work.running;
}

void show_progress(Work& work) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const auto start = std::chrono::steady_clock::now();
  auto last = start;
  while (work.running != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto at = std::chrono::steady_clock::now();
    if (work.flags.quiet || at - last < (terminal ? std::chrono::seconds(1) : k_progress)) continue;
    last = at;
    const std::uint64_t mebibytes = work.bytes >> 20;
    const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::seconds>(at - start).count()));
    const std::size_t done = work.passed + work.refused + work.failed;
    const std::lock_guard lock(work.output);
    std::cerr << (terminal ? "\r\x1b[K" : "") << done << " of " << work.files.size() << " files, "
              << mebibytes << " MiB, " << mebibytes / seconds << " MiB/s" << (terminal ? "" : "\n")
              << std::flush;
  }
  if (terminal && !work.flags.quiet) std::cerr << "\r\x1b[K" << std::flush;
}

Result<std::string> token_of(const Flags& flags) {
  if (flags.anonymous) return std::string();
  if (!flags.token_file.empty()) {
    std::ifstream file(flags.token_file);
    std::string token;
    if (!(file >> token)) return Error{flags.token_file + ": no token can be read"};
    return token;
  }
  const char* token = std::getenv("HF_TOKEN");
  return std::string(token == nullptr ? "" : token);
}

int warm(const Flags& flags) {
  const Wanted wanted = wanted_from(flags.repo);
  if (wanted.name.empty() || wanted.revision.empty())
    return complain("the repository is REPO or REPO@REV, e.g. org/name@main", exit_usage);
  std::string gate = flags.gate;
  if (const char* endpoint = std::getenv("HF_ENDPOINT"); gate.empty() && endpoint != nullptr)
    gate = endpoint;
  if (gate.empty()) gate = "https://127.0.0.1:8443";
  const auto url = parse_url(gate.ends_with('/') ? gate : gate + "/");
  if (!url || url->target != "/")
    return complain("--gate: " + printable(gate, 200) + " is no URL of a gate", exit_usage);
  auto token = token_of(flags);
  if (!token) return complain(token.error().message, exit_usage);
  std::string ca = flags.ca;
  std::error_code error;
  const auto own = flags.data / "tls" / k_certificate;
  if (const char* given = std::getenv("SSL_CERT_FILE"); ca.empty() && given != nullptr) ca = given;
  if (ca.empty() && std::filesystem::exists(own, error)) ca = own;

  curl_global_init(CURL_GLOBAL_DEFAULT);
  Client client(url->origin.text(), ca, *token);
  auto commit = commit_of(client, wanted);
  if (!commit) return complain(commit.error().message, exit_error);
  auto files = files_of(client, wanted, *commit);
  if (!files) return complain(files.error().message, exit_error);
  std::erase_if(*files, [&](const ListedFile& file) { return !selected(flags, file.path); });
  if (files->empty()) return complain("no file of this repository is selected", exit_found);

  Work work(flags, wanted, *commit, std::move(*files));
  work.base = url->origin.text();
  work.ca = ca;
  work.token = *token;
  std::vector<std::thread> threads;
  work.running = std::min<std::size_t>(flags.jobs, work.files.size());
  for (std::size_t i = work.running; i > 0; --i)
    threads.emplace_back([&work] { pull_some(work); });
  show_progress(work);
  for (std::thread& thread: threads)
    thread.join();
  std::cout << flags.repo << " at " << *commit << ": " << work.passed << " files passed, "
            << work.refused << " refused, " << work.failed << " failed\n";
  if (work.failed != 0) return exit_error;
  return work.refused != 0 ? exit_found : exit_ok;
}

void set_up_warm(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<Flags>();
  flags->data = default_data_dir();
  app.add_option("REPO", flags->repo, "REPO or REPO@REV: org/name, datasets/org/name@v1")
      ->required();
  app.add_option("--gate", flags->gate, "the running gate ($HF_ENDPOINT, https://127.0.0.1:8443)");
  app.add_option("--ca", flags->ca,
                 "certificates to trust, PEM ($SSL_CERT_FILE, the gate's own below --data)");
  app.add_option("--token-file", flags->token_file, "file with the hub's token ($HF_TOKEN)");
  app.add_flag("--anonymous", flags->anonymous,
               "without a token: what is public, then offline for everybody");
  app.add_option("--include", flags->include, "glob of paths; repeatable (all)")->expected(1);
  app.add_option("--exclude", flags->exclude, "glob of paths; repeatable")->expected(1);
  app.add_option("--jobs", flags->jobs, "files at once")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  app.add_flag("--quiet", flags->quiet, "no progress");
  app.add_option("--data", flags->data, "the gate's folder, for its certificate");
  app.footer("Exit codes: 0 all passed, 1 something was refused, 3 something failed.");
  app.callback([flags, &exit_code] { exit_code = warm(*flags); });
}

} // namespace

} // namespace hubgate::proxy

namespace hubgate {
extern const Verb verb_warm;
const Verb verb_warm{"warm", "scan a repository, and keep it, ahead of its users",
                     proxy::set_up_warm};
} // namespace hubgate
