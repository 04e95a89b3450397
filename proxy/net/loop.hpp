#pragma once
// Loop: the io thread of the gate. Everything that a connection owns lives on it, so nothing there
// needs a lock; what blocks (SQLite, large JSON, certificates) goes through offload() to a few
// other threads. Deadlines are checked about once a second for all streams together: a timer per
// operation would cost a system call each.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hubgate::proxy {

namespace asio = boost::asio;
template <typename T> using Task = asio::awaitable<T>;
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// Something that ends when its deadline passes.
class Expiring {
public:
  virtual ~Expiring() = default;
  virtual void expire(TimePoint now) = 0;
};

class Loop {
public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  asio::io_context& context() { return context_; }

  /// Starts a coroutine that nobody awaits. What it throws is given to on_error.
  void spawn(std::function<Task<void>()> body);
  std::function<void(const std::string&)> on_error;

  /// Runs `work` on another thread and comes back with its result. References that `work` holds
  /// stay valid: the caller does not go on before it is done.
  template <typename F> Task<std::invoke_result_t<F>> offload(F work);

  /// Until stop(). Work that was offloaded is waited for.
  void run();
  /// Thread-safe.
  void stop();

  /// Registers for the sweep; must be removed before it dies.
  void watch(Expiring& item);
  void forget(Expiring& item);

  /// Memory for one read between two awaits, shared by everything on this loop.
  std::span<std::uint8_t> scratch() { return scratch_; }

  Task<void> sleep(Duration duration);

private:
  friend class Event;
  void post_outside(std::function<void()> work);
  void post_inside(std::function<void()> work);
  Task<void> sweep();

  asio::io_context context_;
  struct Outside;
  std::unique_ptr<Outside> outside_;
  std::vector<Expiring*> watched_;
  std::vector<std::uint8_t> scratch_;
};

/// Wakes coroutines of the same loop.
class Event {
public:
  explicit Event(Loop& loop) : loop_(loop) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Wakes everybody who waits now.
  void notify();
  /// Returns at the next notify() or after `longest`. May return early: check what you wait for.
  Task<void> wait(Duration longest);

private:
  Loop& loop_;
  std::vector<asio::steady_timer*> waiting_;
};

template <typename F> Task<std::invoke_result_t<F>> Loop::offload(F work) {
  using R = std::invoke_result_t<F>;
  std::optional<R> result;
  std::exception_ptr failure;
  bool done = false;
  Event event(*this);
  post_outside([&] {
    try {
      result.emplace(work());
    } catch (...) {
      failure = std::current_exception();
    }
    post_inside([&] {
      done = true;
      event.notify();
    });
  });
  while (!done)
    co_await event.wait(std::chrono::hours(1));
  if (failure) std::rethrow_exception(failure);
  co_return std::move(*result);
}

/// Waits until a descriptor of ours (a worker's answer) can be read or ends; false when cancelled.
class Readable {
public:
  /// Borrows `fd`, which must be non-blocking and outlive this.
  Readable(Loop& loop, int fd);
  ~Readable();
  Task<bool> wait();
  void cancel();

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hubgate::proxy
