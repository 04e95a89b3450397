#include "proxy/git/transfer.hpp"

#include "proxy/relay/object.hpp"

#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace hubgate::proxy {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view k_folder = "git-";
constexpr auto k_tick = std::chrono::seconds(1);

Error system_error(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

/// Work in a thread, and who waits for it.
struct Apart {
  explicit Apart(Loop& loop) : changed(loop) {}
  Event changed;
  bool finished = false;
  Result<void> result;
  std::function<Result<void>()> work;
  std::thread thread;
};

void start(Loop& loop, const std::shared_ptr<Apart>& apart) {
  apart->thread = std::thread([&loop, apart] {
    try {
      apart->result = apart->work();
    } catch (const std::exception& error) {
      apart->result = Error{error.what()};
    }
    asio::post(loop.context(), [apart] {
      apart->finished = true;
      apart->changed.notify();
    });
  });
}

} // namespace

Result<std::shared_ptr<PackSpool>> PackSpool::create(Visit& visit) {
  std::shared_ptr<PackSpool> out(new PackSpool(visit.gate, visit.quota_user()));
  std::string pattern =
      (fs::path(visit.gate.spool_directory) / (std::string(k_folder) + "XXXXXX")).string();
  if (mkdtemp(pattern.data()) == nullptr) return system_error("no folder for a pack can be made");
  out->folder_ = pattern;
  std::error_code failed;
  fs::create_directory(out->folder_ / "pack", failed);
  const fs::path file = out->folder_ / "pack" / "p.pack";
  out->file_ = Fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (failed || !out->file_) return system_error("no file for a pack can be made");
  return out;
}

PackSpool::~PackSpool() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
  gate_.quota.spool_now -= size_;
  gate_.metrics.spool_bytes = gate_.quota.spool_now;
  if (const auto at = gate_.quota.spool_of.find(user_); at != gate_.quota.spool_of.end()) {
    at->second -= size_;
    if (at->second == 0) gate_.quota.spool_of.erase(at);
  }
}

Result<void> PackSpool::append(Bytes bytes) {
  const ServeLimits& limits = gate_.config.limits;
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("the pack can't be written to the spool");
    const auto written = static_cast<std::uint64_t>(n);
    size_ += written;
    gate_.quota.spool_now += written;
    std::uint64_t& of_user = gate_.quota.spool_of[user_];
    of_user += written;
    gate_.metrics.spool_bytes = gate_.quota.spool_now;
    if (gate_.quota.spool_now > limits.spool || of_user > limits.spool_per_user)
      return Error{"the pack is larger than the space that the gate has for it (limits.spool): "
                   "transfer less at once (--depth, --filter=blob:none)"};
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> PackSpool::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t n = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("the pack can't be read from the spool");
    offset += static_cast<std::uint64_t>(n);
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

void remove_old_packs(const fs::path& spool_directory) {
  std::error_code failed;
  std::vector<fs::path> old;
  for (const auto& entry: fs::directory_iterator(spool_directory, failed))
    if (entry.path().filename().string().starts_with(k_folder)) old.push_back(entry.path());
  for (const fs::path& path: old)
    fs::remove_all(path, failed);
}

GitSeat::GitSeat(Visit& visit) : quota_(visit.gate.quota), user_(visit.quota_user()) {
  ++quota_.scans_now;
  ++quota_.scans_of[user_];
}

GitSeat::~GitSeat() {
  --quota_.scans_now;
  if (const auto at = quota_.scans_of.find(user_); --at->second == 0) quota_.scans_of.erase(at);
}

Task<bool> SideBand::packets(std::string raw) {
  if (!alive_) co_return false;
  last_ = Clock::now();
  alive_ = co_await writer_.send(as_bytes(raw));
  co_return alive_;
}

Task<bool> SideBand::text(std::string_view bytes) {
  if (most_ == 0 || bytes.empty()) co_return alive_;
  std::string clean(bytes);
  for (char& c: clean)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r') c = '?';
  std::string raw = band_pkts(2, clean, most_);
  const bool sent = co_await packets(std::move(raw));
  co_return sent;
}

Task<bool> SideBand::data(Bytes bytes) {
  std::string raw = band_pkts(1, as_text(bytes), most_);
  const bool sent = co_await packets(std::move(raw));
  co_return sent;
}

Task<bool> SideBand::error(std::string_view line) {
  std::string raw = band_pkts(3, std::string(line) + "\n", most_);
  const bool sent = co_await packets(std::move(raw));
  co_return sent;
}

Task<bool> SideBand::progress(const PackCheck::Progress& progress, std::string_view waiting) {
  if (most_ == 0 || !alive_) co_return alive_;
  const std::size_t done = progress.done;
  const std::size_t given = progress.given;
  const bool news = !quiet_ && given != 0 && done != told_;
  if (!news && Clock::now() - last_ < visit_.gate.config.trickle) co_return alive_;
  std::string line;
  if (news) {
    told_ = done;
    line = "hubgate: " + std::to_string(done) + " of " + std::to_string(given) + " files scanned\r";
  } else if (!quiet_ && given == 0) {
    line = "hubgate: " + std::string(waiting) + "\r";
  }
  std::string raw = band_pkts(2, line, most_);
  const bool sent = co_await packets(std::move(raw));
  co_return sent;
}

PackCheck::World world_of(Visit& visit) {
  Gate& gate = visit.gate;
  if (!gate.analyst) {
    Analyst::Options options;
    options.jobs = std::max(1u, std::thread::hardware_concurrency());
    options.deadline_seconds = std::chrono::duration<double>(gate.config.limits.scan).count();
    options.scratch = gate.spool_directory;
    gate.analyst = std::make_shared<Analyst>(gate.keeper, gate.pool, std::move(options));
  }
  if (!gate.blob_names) gate.blob_names = std::make_shared<BlobNames>();
  return {gate.keeper,      *gate.analyst,        gate.pool,
          *gate.blob_names, gate.spool_directory, visit.hub->name};
}

Task<Result<void>> run_apart(Visit& visit, std::shared_ptr<PackCheck> check, SideBand& band,
                             std::function<Result<void>()> work) {
  const auto apart = std::make_shared<Apart>(visit.gate.loop);
  apart->work = std::move(work);
  start(visit.gate.loop, apart);
  while (!apart->finished) {
    co_await apart->changed.wait(k_tick);
    if (apart->finished) break;
    const bool alive = co_await band.progress(check->progress(), "looking at the pack");
    if (!alive) check->progress().stop = true;
  }
  apart->thread.join();
  co_return std::move(apart->result);
}

Fetch git_fetch(const Visit& visit, std::string method, std::string target) {
  Headers fields = forwarded_fields(visit);
  for (const char* name: {"Git-Protocol", "Content-Type"})
    if (const auto value = visit.request.headers.get(name)) fields.set(name, *value);
  Url url = visit.hub->base;
  url.target = std::move(target);
  Fetch fetch(std::move(method), std::move(url), std::move(fields));
  fetch.hub = visit.hub;
  return fetch;
}

Task<void> log_git(Visit& visit, std::string what, boost::json::object fields) {
  fields["repo"] = visit.asked.repo;
  fields["user"] = visit.user;
  fields["from"] = visit.from;
  fields["client"] = visit.agent;
  fields["request"] = visit.id;
  Gatekeeper& keeper = visit.gate.keeper;
  const Result<void> written =
      co_await visit.gate.loop.offload([&] { return keeper.event(what, fields); });
  if (!written && visit.gate.loop.on_error) visit.gate.loop.on_error(written.error().message);
}

} // namespace hubgate::proxy
