#include "policy/judge/judge.hpp"

#include "policy/judge/analyst.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace hubgate {
namespace {

constexpr std::size_t k_batch_items = 1024;
constexpr std::size_t k_batch_bytes = std::size_t{4} << 20;
/// Bytes of a small blob that are kept: a pointer, or where a symbolic link points.
constexpr std::size_t k_head = 4096;
constexpr std::chrono::milliseconds k_tick{200};

} // namespace

// Small blobs, one behind the other.
struct Judge::Batch {
  std::vector<std::uint8_t> bytes;
  std::vector<BatchItem> items;
  std::vector<Judged*> judged;
};

Judge::Judge(Authority& authority, Options options)
    : authority_(authority), options_(std::move(options)) {}

Judge::~Judge() {
  {
    const std::lock_guard lock(state_->mutex);
    closing_ = true;
    queue_.clear();
  }
  state_->changed.notify_all();
  for (auto& thread: threads_)
    thread.join();
}

void Judge::fail(Error error) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->failed) state_->failed = std::move(error);
  }
  state_->changed.notify_all();
}

Judged& Judge::add() {
  ++given_;
  const std::lock_guard lock(state_->mutex);
  return state_->results.emplace_back();
}

// One turn of waiting. Only who reads the push ticks: the tick speaks to the pusher.
bool Judge::wait_a_tick(std::unique_lock<std::mutex>& lock) {
  state_->changed.wait_for(lock, k_tick);
  if (std::this_thread::get_id() != owner_) return true;
  lock.unlock();
  const bool go_on = options_.tick();
  lock.lock();
  if (!go_on && !state_->failed) state_->failed = Error{"it took too long (hook.timeout)"};
  return go_on;
}

// What was handed on holds bytes and descriptors.
bool Judge::make_room(std::uint64_t bytes) {
  const Authority::Capacity most = authority_.capacity();
  std::unique_lock lock(state_->mutex);
  while (!state_->failed && !closing_ && state_->tasks != 0 &&
         (state_->tasks >= most.tasks || state_->bytes + bytes > most.bytes))
    if (!wait_a_tick(lock)) return false;
  if (state_->failed || closing_) return false;
  ++state_->tasks;
  state_->bytes += bytes;
  return true;
}

void Judge::hand_on(std::vector<Judged*> judged, std::uint64_t bytes,
                    const std::function<void(Authority::Done)>& analyse) {
  if (!make_room(bytes)) return;
  analyse(
      [state = state_, judged = std::move(judged), bytes](Result<std::vector<Analysis>> answer) {
        {
          const std::lock_guard lock(state->mutex);
          --state->tasks;
          state->bytes -= bytes;
          if (answer && answer->size() != judged.size())
            answer = Error{"an answer to another question"};
          if (!answer) {
            if (!state->failed) state->failed = answer.error();
          } else {
            for (std::size_t i = 0; i < judged.size(); ++i) {
              judged[i]->digest = std::move((*answer)[i].digest);
              judged[i]->report = std::move((*answer)[i].report);
            }
            state->done += judged.size();
          }
        }
        state->changed.notify_all();
      });
}

Judged& Judge::small(Bytes bytes) {
  Judged& out = add();
  out.pointer = git::read_pointer(bytes, bytes.size());
  out.has_nul = !bytes.empty() && std::memchr(bytes.data(), 0, bytes.size()) != nullptr;
  if (bytes.size() <= k_head) out.head = std::string(as_text(bytes));
  if (options_.ask == Ask::records) {
    out.digest.sha256 = sha256(bytes);
    out.digest.size = bytes.size();
    if (!open_) open_ = std::make_unique<Batch>();
    open_->judged.push_back(&out);
    if (open_->judged.size() >= k_batch_items) flush();
    return out;
  }
  if (open_ && open_->bytes.size() + bytes.size() > k_batch_bytes) flush();
  if (!open_) open_ = std::make_unique<Batch>();
  open_->items.push_back({open_->bytes.size(), bytes.size()});
  open_->bytes.insert(open_->bytes.end(), bytes.begin(), bytes.end());
  open_->judged.push_back(&out);
  if (open_->items.size() >= k_batch_items) flush();
  return out;
}

void Judge::flush() {
  if (!open_) return;
  const auto batch = std::move(open_);
  if (options_.ask == Ask::records) {
    if (auto looked = look_up(batch->judged); !looked) fail(looked.error());
    return;
  }
  const std::uint64_t bytes = batch->bytes.size();
  hand_on(std::move(batch->judged), bytes, [&](Authority::Done done) {
    auto memory = sealed_memory(batch->bytes);
    if (!memory) return done(memory.error());
    authority_.analyse_batch(std::move(memory).value(), std::move(batch->items), std::move(done));
  });
}

// Waits while enough is queued: each has a process or a connection to come.
void Judge::push(Task task) {
  std::unique_lock lock(state_->mutex);
  if (threads_.size() < std::max(1u, options_.jobs)) threads_.emplace_back([this] { work(); });
  while (!state_->failed && queue_.size() >= 2 * threads_.size())
    if (!wait_a_tick(lock)) return;
  queue_.push_back(std::move(task));
  lock.unlock();
  state_->changed.notify_all();
}

void Judge::work() {
  std::unique_lock lock(state_->mutex);
  while (true) {
    state_->changed.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (closing_) return;
    Task task = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    state_->changed.notify_all();
    try {
      if (auto done = task(); !done) fail(done.error());
    } catch (const std::exception& error) {
      fail(Error{error.what()});
    }
    task = nullptr;
    lock.lock();
    --running_;
    state_->changed.notify_all();
  }
}

Result<void> Judge::look_up(const std::vector<Judged*>& judged) {
  std::vector<ObjectKey> keys;
  for (const Judged* one: judged)
    keys.push_back({one->digest.sha256, one->digest.size});
  auto reports = HUBGATE_TRY(authority_.known(keys));
  if (reports.size() != judged.size()) return Error{"an answer to another question"};
  for (std::size_t i = 0; i < judged.size(); ++i) {
    judged[i]->unscanned = !reports[i];
    if (reports[i]) judged[i]->report = std::move(*reports[i]);
  }
  state_->done += judged.size();
  return {};
}

Judged& Judge::big(Pump pump) {
  return fetch([this, pump = std::move(pump)]() -> Result<Fetched> {
    Fetched out;
    out.file = HUBGATE_TRY(unlinked_file(options_.scratch));
    BlockHasher hasher;
    auto pumped = pump([&](Bytes bytes) {
      hasher.update(bytes);
      return write_bytes(out.file.get(), bytes);
    });
    if (!pumped) return pumped.error();
    out.digest = hasher.finish();
    return out;
  });
}

Judged& Judge::fetch(Fetch fetch) {
  Judged& out = add();
  push([this, &out, fetch = std::move(fetch)]() -> Result<void> {
    Fetched fetched = HUBGATE_TRY(fetch());
    if (!fetched.file) {
      out.absent = true;
      ++state_->done;
      return {};
    }
    return judge_file(out, std::move(fetched));
  });
  return out;
}

Result<void> Judge::judge_file(Judged& judged, Fetched file) {
  // Readers of pointers look at the head of a file of any size.
  std::array<std::uint8_t, git::k_pointer_max> head{};
  const ssize_t n = pread(file.file.get(), head.data(), head.size(), 0);
  struct stat info{};
  if (n < 0 || fstat(file.file.get(), &info) != 0)
    return Error{std::string("can't read an object's file: ") + std::strerror(errno)};
  judged.pointer = git::read_pointer(Bytes(head).first(static_cast<std::size_t>(n)),
                                     static_cast<std::uint64_t>(info.st_size));
  if (options_.ask == Ask::records) {
    judged.digest = file.digest ? std::move(*file.digest) : HUBGATE_TRY(hash_file(file.file.get()));
    return look_up({&judged});
  }
  hand_on({&judged}, 0, [&](Authority::Done done) {
    authority_.analyse_file(std::move(file.file), std::move(file.digest), std::move(done));
  });
  return {};
}

std::vector<const Judged*> Judge::unscanned() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<const Judged*> out;
  for (const Judged& one: state_->results)
    if (one.unscanned) out.push_back(&one);
  return out;
}

Result<void> Judge::wait() {
  flush();
  std::unique_lock lock(state_->mutex);
  while (!state_->failed && (state_->tasks != 0 || running_ != 0 || !queue_.empty()))
    wait_a_tick(lock);
  if (state_->failed) return *state_->failed;
  return {};
}

} // namespace hubgate
