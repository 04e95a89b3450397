#include "hook/daemon/client.hpp"

#include "policy/rules_elsewhere.hpp"
#include "scanner/core/evidence.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cmath>
#include <future>

namespace hubgate::daemon {
namespace {

// As the daemon's limits of one connection (server.hpp), so that it never has to let us wait.
constexpr std::size_t k_tasks = 200;
constexpr std::uint64_t k_bytes = std::uint64_t{64} << 20;
constexpr std::size_t k_cases_at_once = 5000;
constexpr std::size_t k_decide_bytes = std::size_t{8} << 20;
constexpr std::size_t k_keys_at_once = 1000;
/// What is left of its time to a question that is asked at the end of it, for the last words.
constexpr std::chrono::seconds k_grace{2};

Error nonsense() {
  return Error{"the gate's daemon answers with something else than was asked"};
}

std::optional<std::optional<Report>> get_maybe(Reader& in) {
  const auto there = in.le<std::uint8_t>();
  if (!there || *there > 1) return std::nullopt;
  if (*there == 0) return std::optional<Report>();
  auto report = get_report(in);
  if (!report) return std::nullopt;
  return std::optional(std::move(*report));
}

} // namespace

Client::Client(Channel channel, Clock::time_point deadline)
    : channel_(std::move(channel)), deadline_(deadline) {}

Result<std::unique_ptr<Client>> Client::connect(const Options& options) {
  Channel channel(HUBGATE_TRY(connect_to(options.socket)));
  // A daemon that takes nothing any more must not hold the hook.
  const auto left =
      std::chrono::duration_cast<std::chrono::seconds>(options.deadline - Clock::now());
  const timeval patience{std::max<time_t>(left.count(), 1), 0};
  if (setsockopt(channel.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0)
    return Error{"can't set up a socket"};
  auto out = std::unique_ptr<Client>(new Client(std::move(channel), options.deadline));
  out->listener_ = std::thread([client = out.get()] { client->listen(); });
  Out hello;
  put(hello,
      Hello{k_protocol, std::string(engine_version()), options.repo, options.git_dir.string()});
  const Payload payload = HUBGATE_TRY(out->answer(Type::hello, hello));
  Reader in(payload);
  const auto welcome = get_welcome(in);
  if (!welcome) return nonsense();
  out->policy_ =
      HUBGATE_TRY(welcome->policy.empty() ? Policy::preset(welcome->policy_name)
                                          : Policy::from_yaml(welcome->policy, welcome->policy_name,
                                                              k_rules_elsewhere));
  return out;
}

Client::~Client() {
  channel_.shut();
  if (listener_.joinable()) listener_.join();
}

Authority::Capacity Client::capacity() const {
  return {k_tasks, k_bytes};
}

void Client::give_up(const Error& why) {
  std::map<std::uint32_t, Hear> open;
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) gone_ = why;
    open = std::move(waiting_);
    waiting_.clear();
  }
  for (auto& [id, hear]: open)
    hear(why);
}

void Client::listen() {
  while (true) {
    Result<std::optional<Received>> message(std::optional<Received>{});
    Result<Payload> payload(Payload{});
    try {
      message = channel_.receive();
      if (!message)
        return give_up(Error{"the gate's daemon can't be heard: " + message.error().message});
      if (!*message)
        return give_up(Error{"the gate's daemon has ended the connection: push again"});
      payload = Channel::payload(**message);
    } catch (const std::exception& error) {
      return give_up(Error{error.what()});
    }
    if (!payload) return give_up(payload.error());
    const Header& header = (*message)->header;
    if (header.type == Type::failed) {
      Reader in(*payload);
      payload = Error{printable(get_text(in).value_or("no reason given"), 400)};
      // Said before anything was asked, or about the connection as a whole.
      if (header.id == 0) return give_up(payload.error());
    } else if (header.type != Type::done) {
      return give_up(nonsense());
    }
    Hear hear;
    {
      const std::lock_guard lock(mutex_);
      const auto at = waiting_.find(header.id);
      if (at == waiting_.end()) continue; // nobody waits for it any more
      hear = std::move(at->second);
      waiting_.erase(at);
    }
    hear(std::move(payload));
  }
}

void Client::ask(Type type, const Out& question, Fd attached, Hear hear) {
  std::uint32_t id = 0;
  {
    const std::unique_lock lock(mutex_);
    if (!gone_) {
      id = next_++;
      waiting_.emplace(id, hear);
    }
  }
  if (id == 0) return hear(*gone_); // set once
  const auto take_back = [&](const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.erase(id) == 0) return; // it was told already
    }
    hear(error);
  };
  auto message = Sending::make(type, id, question.bytes(), std::move(attached));
  if (!message) return take_back(message.error());
  const std::lock_guard lock(sending_);
  // The last word of who has closed is still to be heard: it says why, to all who wait.
  if (auto sent = channel_.send(*message, Channel::Wait::yes); !sent) channel_.shut();
}

Result<Client::Payload> Client::answer(Type type, const Out& question, Fd attached) {
  const auto promise = std::make_shared<std::promise<Result<Payload>>>();
  auto future = promise->get_future();
  ask(type, question, std::move(attached),
      [promise](Result<Payload> payload) { promise->set_value(std::move(payload)); });
  if (future.wait_until(std::max(deadline_, Clock::now() + k_grace)) != std::future_status::ready)
    return Error{"the gate's daemon has not answered in time"};
  return future.get();
}

namespace {

// Analyses of an answer, as many as were asked for.
Result<std::vector<Analysis>> analyses_of(Result<std::vector<std::uint8_t>> payload,
                                          std::size_t count) {
  if (!payload) return payload.error();
  Reader in(*payload);
  std::vector<Analysis> out;
  while (out.size() < count) {
    auto one = get_analysis(in);
    if (!one) return nonsense();
    out.push_back(std::move(*one));
  }
  return out;
}

} // namespace

void Client::analyse_batch(Fd memory, std::vector<BatchItem> items, Done done) {
  Out question;
  put(question, items);
  ask(Type::batch, question, std::move(memory),
      [count = items.size(), done = std::move(done)](Result<Payload> payload) {
        done(analyses_of(std::move(payload), count));
      });
}

// What we have hashed ourselves counts for nothing there.
void Client::analyse_file(Fd file, std::optional<ObjectDigest> /*computed*/, Done done) {
  ask(Type::file, Out(), std::move(file), [done = std::move(done)](Result<Payload> payload) {
    done(analyses_of(std::move(payload), 1));
  });
}

Report Client::analyse_code(const python::BundleWriter& bundle, double seconds) {
  Report out;
  const auto fail = [&](const Error& error) {
    out.gaps.push_back(Gap{Reason::crash, Reach::load, "", 0, error.message});
    return out;
  };
  auto memory = sealed_memory(as_bytes(bundle.bytes()));
  if (!memory) return fail(memory.error());
  Out question;
  question.u32(static_cast<std::uint32_t>(std::lround(seconds * 1000)));
  const auto payload = answer(Type::code, question, std::move(memory).value());
  if (!payload) return fail(payload.error());
  Reader in(*payload);
  auto report = get_report(in);
  if (!report) return fail(nonsense());
  bundle.name_files(*report);
  return std::move(*report);
}

Result<std::vector<std::optional<Report>>> Client::known(const std::vector<ObjectKey>& objects) {
  std::vector<std::optional<Report>> out;
  for (std::size_t begin = 0; begin < objects.size(); begin += k_keys_at_once) {
    const std::size_t count = std::min(k_keys_at_once, objects.size() - begin);
    Out question;
    question.u32(static_cast<std::uint32_t>(count));
    for (std::size_t i = begin; i < begin + count; ++i)
      put(question, objects[i]);
    const Payload payload = HUBGATE_TRY(answer(Type::known, question));
    Reader in(payload);
    for (std::size_t i = 0; i < count; ++i) {
      auto report = get_maybe(in);
      if (!report) return nonsense();
      out.push_back(std::move(*report));
    }
  }
  return out;
}

Result<std::vector<Decision>> Client::decide(const std::vector<Gatekeeper::Case>& cases) {
  std::vector<Decision> out;
  while (out.size() < cases.size()) {
    Out some;
    std::uint32_t count = 0;
    for (std::size_t i = out.size();
         i < cases.size() && count < k_cases_at_once && some.size() < k_decide_bytes; ++i) {
      put(some, *cases[i].report);
      put(some, cases[i].context);
      ++count;
    }
    Out question;
    question.u32(count).raw(some.bytes());
    const Payload payload = HUBGATE_TRY(answer(Type::decide, question));
    Reader in(payload);
    for (std::uint32_t i = 0; i < count; ++i) {
      auto decision = get_decision(in);
      if (!decision) return nonsense();
      out.push_back(std::move(*decision));
    }
  }
  return out;
}

Result<void> Client::quarantine(const Decision& decision, const Context& /*context*/, Fd file) {
  Out question;
  question.text(decision.id);
  const auto done = answer(Type::quarantine, question, std::move(file));
  if (!done) return done.error();
  return {};
}

Result<void> Client::event(std::string_view what, const boost::json::object& fields) {
  Out question;
  question.text(what).text(boost::json::serialize(fields));
  const auto done = answer(Type::event, question);
  if (!done) return done.error();
  return {};
}

bool Client::is_judged(const git::Oid& oid, std::string_view terms) {
  Out question;
  put(question, oid);
  question.text(terms);
  const auto payload = answer(Type::judged, question);
  return payload && payload->size() == 1 && payload->front() == 1;
}

std::optional<Report> Client::tree_verdict(const git::Oid& root) {
  Out question;
  put(question, root);
  const auto payload = answer(Type::tree, question);
  if (!payload) return std::nullopt;
  Reader in(*payload);
  auto report = get_maybe(in);
  return report ? std::move(*report) : std::nullopt;
}

Result<void> Client::remember(const std::vector<TreeVerdict>& trees,
                              const std::vector<Judgement>& judged) {
  Out question;
  question.u32(static_cast<std::uint32_t>(trees.size()));
  for (const auto& tree: trees) {
    put(question, tree.root);
    put(question, *tree.report);
  }
  question.u32(static_cast<std::uint32_t>(judged.size()));
  for (const auto& one: judged) {
    put(question, one.oid);
    question.text(one.terms);
  }
  const auto done = answer(Type::remember, question);
  if (!done) return done.error();
  return {};
}

} // namespace hubgate::daemon
