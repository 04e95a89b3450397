#include "hook/daemon/session.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/yara/yara.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace hubgate::daemon {
namespace json = boost::json;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds k_greeting{10};
/// Without a question and without a scan under way. A walk over a long history asks for little.
constexpr std::chrono::minutes k_idle{30};
constexpr std::size_t k_outbox = 256;
constexpr std::size_t k_cases = 10'000;
constexpr std::size_t k_keys = 1000;
constexpr std::size_t k_verdicts = 100'000;
constexpr std::uint32_t k_code_milliseconds = 600'000;
constexpr std::size_t k_quarantined = 10'000;

Error nonsense() {
  return Error{"a question that can't be read"};
}

void put_maybe(Out& out, const std::optional<Report>& report) {
  out.u8(report ? 1 : 0);
  if (report) put(out, *report);
}

// Sealed memory of at most k_max_memory; its size.
Result<std::uint64_t> memory_size(const Fd& memory) {
  struct stat info{};
  if (!memory || !is_sealed(memory.get()) || fstat(memory.get(), &info) != 0 ||
      !S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) > k_max_memory)
    return Error{"the descriptor is no sealed memory, or it is too large"};
  return static_cast<std::uint64_t>(info.st_size);
}

} // namespace

// As Policy::digest() is made.
bool is_text_of(const Welcome& welcome, const Policy& policy) {
  if (welcome.policy.empty()) {
    const auto preset = Policy::preset(welcome.policy_name);
    return preset && preset->digest() == policy.digest();
  }
  std::string all = welcome.policy;
  if (const auto yara = policy.yara()) all += '\0' + yara->digest;
  return hex(sha256(as_bytes(all))) == policy.digest();
}

Result<std::shared_ptr<Session>> Session::create(World world, Channel channel, Peer peer) {
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return Error{std::string("eventfd: ") + std::strerror(errno)};
  return std::shared_ptr<Session>(new Session(world, std::move(channel), peer, std::move(event)));
}

void Session::wake() {
  const std::uint64_t one = 1;
  (void)!write(event_.get(), &one, sizeof one); // full: it is awake
}

void Session::stop() {
  stopping_ = true;
  wake();
}

void Session::close(const Result<void>& served) {
  if (!served) {
    Out why;
    why.text(std::string_view(served.error().message).substr(0, 1000));
    if (const auto message = Sending::make(Type::failed, 0, why.bytes()))
      (void)channel_.send(*message, Channel::Wait::no);
  }
  channel_.shut();
}

// The peer's share and that of all. Questions that take no scan always have room.
bool Session::has_room(Type type) const {
  if (type != Type::batch && type != Type::file && type != Type::code) return true;
  if (tasks_ >= k_tasks) return false;
  if (type == Type::file) return world_.load.files < Load::k_files;
  return bytes_ < k_bytes && world_.load.bytes < Load::k_bytes;
}

Result<void> Session::run() {
  struct AtEnd {
    ~AtEnd() {
      const std::lock_guard lock(session.mutex_);
      session.closed_ = true;
      session.outbox_.clear();
    }
    Session& session;
  } const at_end{*this};
  Clock::time_point quiet_since = Clock::now();
  while (!stopping_) {
    std::size_t answers = 0;
    {
      const std::lock_guard lock(mutex_);
      answers = outbox_.size();
    }
    if (held_ && has_room(held_->header.type))
      if (auto handled = handle(*std::exchange(held_, std::nullopt)); !handled) return handled;
    const bool listens = !held_ && answers < k_outbox;
    std::array<pollfd, 2> ready{
        {{channel_.fd(), static_cast<short>((listens ? POLLIN : 0) | (answers != 0 ? POLLOUT : 0)),
          0},
         {event_.get(), POLLIN, 0}}};
    // Room that others make wakes nobody.
    const int patience = held_ ? 100 : 1000;
    if (poll(ready.data(), ready.size(), patience) < 0 && errno != EINTR)
      return Error{std::string("poll: ") + std::strerror(errno)};
    std::uint64_t ignored = 0;
    if (ready[1].revents != 0) (void)!read(event_.get(), &ignored, sizeof ignored);
    if (answers != 0)
      if (const auto sent = send_some(); !sent) return sent.error();
    if ((ready[0].revents & POLLIN) != 0 && listens) {
      auto message = HUBGATE_TRY(channel_.receive());
      if (!message) return {};
      quiet_since = Clock::now();
      if (!has_room(message->header.type))
        held_ = std::move(*message);
      else if (auto handled = handle(std::move(*message)); !handled)
        return handled;
    } else if ((ready[0].revents & (POLLHUP | POLLERR)) != 0) {
      return {};
    }
    if (tasks_ != 0) quiet_since = Clock::now();
    const auto quiet = Clock::now() - quiet_since;
    if (quiet >
        (authority_ ? std::chrono::duration_cast<std::chrono::seconds>(k_idle) : k_greeting))
      return Error{"nothing was asked for too long"};
  }
  return {};
}

Result<bool> Session::send_some() {
  while (true) {
    const std::lock_guard lock(mutex_);
    if (outbox_.empty()) return true;
    const bool sent = HUBGATE_TRY(channel_.send(outbox_.front(), Channel::Wait::no));
    if (!sent) return false;
    outbox_.pop_front();
  }
}

void Session::put_out(Result<Sending> message) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || !message) return;
    outbox_.push_back(std::move(*message));
  }
  wake();
}

void Session::answer(std::uint32_t id, const Out& payload) {
  auto message = Sending::make(Type::done, id, payload.bytes());
  if (!message) return fail(id, message.error());
  put_out(std::move(message));
}

void Session::fail(std::uint32_t id, const Error& error) {
  Out out;
  out.text(std::string_view(error.message).substr(0, 1000));
  put_out(Sending::make(Type::failed, id, out.bytes()));
}

// A place in the load of the daemon, given back also where the analyst ends before it answers.
struct Session::Held {
  Held(std::shared_ptr<Session> of, std::uint64_t of_bytes, bool is_file)
      : session(std::move(of)), bytes(of_bytes), file(is_file) {
    ++session->tasks_;
    ++session->world_.load.tasks;
    session->world_.load.files += file ? 1 : 0;
    session->bytes_ += bytes;
    session->world_.load.bytes += bytes;
  }
  ~Held() {
    --session->tasks_;
    --session->world_.load.tasks;
    session->world_.load.files -= file ? 1 : 0;
    session->bytes_ -= bytes;
    session->world_.load.bytes -= bytes;
    session->wake();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  std::shared_ptr<Session> session;
  std::uint64_t bytes;
  bool file;
};

Authority::Done Session::answer_later(std::uint32_t id, std::uint64_t bytes, bool file) {
  return [held = std::make_shared<Held>(shared_from_this(), bytes, file),
          id](Result<std::vector<Analysis>> analyses) {
    if (!analyses) return held->session->fail(id, analyses.error());
    Out out;
    for (const auto& one: *analyses)
      put(out, one);
    held->session->answer(id, out);
  };
}

// An error ends the connection: the peer does not keep to the protocol.
Result<void> Session::handle(Received message) {
  const Header header = message.header;
  if (header.type >= Type::done) return nonsense();
  if (header.id == 0) return nonsense();
  const Payload payload = HUBGATE_TRY(Channel::payload(message));
  Reader in(payload);
  if (!authority_) return header.type == Type::hello ? greet(in, header.id) : nonsense();
  switch (header.type) {
  case Type::batch:
    return batch(in, message);
  case Type::file:
    return file(message);
  case Type::code:
    return code(in, message);
  default:
    break;
  }
  const auto reply = reply_to(header.type, in, std::move(message.attached));
  if (!in.at_end()) return nonsense();
  if (reply)
    answer(header.id, *reply);
  else
    fail(header.id, reply.error());
  return {};
}

Result<void> Session::greet(Reader& in, std::uint32_t id) {
  const auto hello = get_hello(in);
  if (!hello || !in.at_end()) return nonsense();
  if (hello->protocol != k_protocol || hello->engine != engine_version()) {
    fail(id, Error{"the gate's daemon is version " + std::string(engine_version()) +
                   " and the hook another one: install one and restart the daemon"});
    return {};
  }
  LocalAuthority::Scope scope;
  scope.repo = hello->repo;
  // Whoever is us or the machine could write to the records itself.
  if (peer_.uid != geteuid() && peer_.uid != 0) {
    scope.vouched_by = std::to_string(peer_.uid) + ":" + hello->git_dir;
    scope.owner = Analyst::Owner::foreign;
  }
  authority_ = std::make_unique<LocalAuthority>(world_.keeper, world_.analyst, std::move(scope));
  // By another text than decides here the hook would take other things for plain.
  const auto welcome = world_.policy_text(authority_->policy());
  if (!welcome) {
    authority_.reset();
    fail(id, welcome.error());
    return {};
  }
  Out out;
  put(out, *welcome);
  answer(id, out);
  return {};
}

Result<void> Session::batch(Reader& in, Received& message) {
  const auto size = memory_size(message.attached);
  if (!size) return size.error();
  auto items = get_items(in, *size);
  if (!items || !in.at_end()) return nonsense();
  authority_->analyse_batch(std::move(message.attached), std::move(*items),
                            answer_later(message.header.id, *size, false));
  return {};
}

Result<void> Session::file(Received& message) {
  struct stat info{};
  if (!message.attached || fstat(message.attached.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return Error{"a descriptor that is no regular file"};
  authority_->analyse_file(std::move(message.attached), std::nullopt,
                           answer_later(message.header.id, 0, true));
  return {};
}

Result<void> Session::code(Reader& in, Received& message) {
  const auto size = memory_size(message.attached);
  if (!size) return size.error();
  const auto milliseconds = in.le<std::uint32_t>();
  if (!milliseconds || !in.at_end()) return nonsense();
  const double seconds = std::min(*milliseconds, k_code_milliseconds) / 1000.0;
  world_.analyst.run([held = std::make_shared<Held>(shared_from_this(), *size, false), seconds,
                      memory = std::make_shared<Fd>(std::move(message.attached)), size = *size,
                      id = message.header.id] {
    Session& session = *held->session;
    try {
      Out out;
      put(out, session.world_.analyst.code(memory->get(), size, seconds));
      session.answer(id, out);
    } catch (const std::exception& error) {
      session.fail(id, Error{error.what()});
    }
  });
  return {};
}

Result<Out> Session::reply_to(Type type, Reader& in, Fd attached) {
  Out out;
  switch (type) {
  case Type::known: {
    const auto keys = get_list(in, k_keys, get_key);
    if (!keys) return nonsense();
    for (const auto& report: HUBGATE_TRY(authority_->known(*keys)))
      put_maybe(out, report);
    return out;
  }
  case Type::judged: {
    const auto oid = get_oid(in);
    const auto terms = oid ? get_text(in) : std::nullopt;
    if (!terms) return nonsense();
    out.u8(authority_->is_judged(*oid, *terms) ? 1 : 0);
    return out;
  }
  case Type::tree: {
    const auto oid = get_oid(in);
    if (!oid) return nonsense();
    put_maybe(out, authority_->tree_verdict(*oid));
    return out;
  }
  case Type::decide:
    return decide(in);
  case Type::remember:
    return remember(in);
  case Type::quarantine:
    return quarantine(in, attached);
  case Type::event:
    return event(in);
  default:
    return nonsense();
  }
}

Result<Out> Session::decide(Reader& in) {
  struct Asked {
    Report report;
    Context context;
  };
  const auto asked = get_list(in, k_cases, [&](Reader& reader) -> std::optional<Asked> {
    auto report = get_report(reader);
    auto context = report ? get_context(reader) : std::nullopt;
    if (!context) return std::nullopt;
    // The audit log shall tell who said so.
    context->client += " (account " + std::to_string(peer_.uid) + ")";
    return Asked{std::move(*report), std::move(*context)};
  });
  if (!asked) return nonsense();
  std::vector<Gatekeeper::Case> cases;
  for (const auto& one: *asked)
    cases.push_back({&one.report, one.context});
  const auto decisions = HUBGATE_TRY(authority_->decide(cases));
  Out out;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    put(out, decisions[i]);
    if (decisions[i].action == Action::quarantine && !decisions[i].id.empty() &&
        quarantined_.size() < k_quarantined)
      quarantined_.emplace(decisions[i].id, std::pair(decisions[i], cases[i].context));
  }
  return out;
}

Result<Out> Session::remember(Reader& in) {
  struct Verdict {
    git::Oid root;
    Report report;
  };
  const auto trees = get_list(in, k_verdicts, [](Reader& reader) -> std::optional<Verdict> {
    const auto root = get_oid(reader);
    auto report = root ? get_report(reader) : std::nullopt;
    if (!report) return std::nullopt;
    return Verdict{*root, std::move(*report)};
  });
  const auto judged = trees ? get_list(in, k_verdicts,
                                       [](Reader& reader) -> std::optional<Authority::Judgement> {
                                         const auto oid = get_oid(reader);
                                         auto terms = oid ? get_text(reader) : std::nullopt;
                                         if (!terms) return std::nullopt;
                                         return Authority::Judgement{*oid, std::move(*terms)};
                                       })
                            : std::nullopt;
  if (!judged) return nonsense();
  std::vector<Authority::TreeVerdict> verdicts;
  for (const auto& tree: *trees)
    verdicts.push_back({tree.root, &tree.report});
  if (auto kept = authority_->remember(verdicts, *judged); !kept) return kept.error();
  return Out();
}

Result<Out> Session::quarantine(Reader& in, const Fd& attached) {
  const auto id = get_text(in);
  if (!id) return nonsense();
  const auto found = quarantined_.find(*id);
  if (found == quarantined_.end()) return Error{"no such decision was made here"};
  if (!attached) return nonsense();
  const auto& [decision, context] = found->second;
  // Out of the peer's hands before anything maps it.
  auto [copy, digest] = HUBGATE_TRY(world_.analyst.copied(attached.get()));
  if (digest.size != context.size) return Error{"the bytes are not those of the decision"};
  if (auto kept = authority_->quarantine(decision, context, std::move(copy)); !kept)
    return kept.error();
  quarantined_.erase(found);
  return Out();
}

Result<Out> Session::event(Reader& in) {
  const auto what = get_text(in);
  const auto text = what ? get_text(in) : std::nullopt;
  if (!text) return nonsense();
  // The gate's own events (start, waiver-add, quarantine…) are not the hook's to tell.
  if (what->size() > 40 ||
      what->find_first_not_of("abcdefghijklmnopqrstuvwxyz-") != std::string::npos ||
      !(what->starts_with("push") || what->starts_with("lfs")))
    return Error{"a hook tells of pushes and LFS objects only"};
  boost::system::error_code error;
  const auto value = json::parse(*text, error);
  if (error || !value.is_object()) return nonsense();
  json::object fields;
  for (const auto& field: value.get_object())
    // What makes a line of the log a line, or a decision, is ours.
    if (field.key() != "event" && field.key() != "time" && field.key() != "id" &&
        field.key() != "seq" && field.key() != "prev")
      fields[field.key()] = field.value();
  fields["account"] = peer_.uid;
  if (auto told = authority_->event(*what, fields); !told) return told.error();
  return Out();
}

} // namespace hubgate::daemon
