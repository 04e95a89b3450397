#include "proxy/net/loop.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace hubgate::proxy {

namespace {
constexpr std::size_t k_scratch = std::size_t{256} << 10;
constexpr unsigned k_outside_threads = 3;
constexpr auto k_sweep_period = std::chrono::seconds(1);
} // namespace

struct Loop::Outside {
  asio::thread_pool threads{k_outside_threads};
};

Loop::Loop() : context_(1), outside_(std::make_unique<Outside>()), scratch_(k_scratch) {}
Loop::~Loop() {
  outside_->threads.join();
}

void Loop::spawn(std::function<Task<void>()> body) {
  // The function object lives in the completion handler, so captures of `body` outlive its frame.
  auto held = std::make_shared<std::function<Task<void>()>>(std::move(body));
  asio::co_spawn(context_, (*held)(), [held, this](std::exception_ptr failure) {
    if (!failure || !on_error) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      on_error(error.what());
    } catch (...) {
      on_error("unknown exception");
    }
  });
}

void Loop::run() {
  spawn([this] { return sweep(); });
  const auto guard = asio::make_work_guard(context_);
  context_.run();
  outside_->threads.join();
}

void Loop::stop() {
  context_.stop();
}

void Loop::watch(Expiring& item) {
  watched_.push_back(&item);
}

void Loop::forget(Expiring& item) {
  const auto at = std::find(watched_.begin(), watched_.end(), &item);
  if (at == watched_.end()) return;
  *at = watched_.back();
  watched_.pop_back();
}

void Loop::post_outside(std::function<void()> work) {
  asio::post(outside_->threads, std::move(work));
}

void Loop::post_inside(std::function<void()> work) {
  asio::post(context_, std::move(work));
}

Task<void> Loop::sleep(Duration duration) {
  asio::steady_timer timer(context_, duration);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

Task<void> Loop::sweep() {
  for (;;) {
    co_await sleep(k_sweep_period);
    const TimePoint now = Clock::now();
    // Backwards, because expire() may only end what it is called on, never forget another.
    for (std::size_t i = watched_.size(); i-- > 0;)
      watched_[i]->expire(now);
  }
}

void Event::notify() {
  for (asio::steady_timer* timer: waiting_)
    timer->cancel();
}

Task<void> Event::wait(Duration longest) {
  asio::steady_timer timer(loop_.context_, longest);
  waiting_.push_back(&timer);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &timer));
}

struct Readable::Impl {
  asio::posix::stream_descriptor descriptor;
};

Readable::Readable(Loop& loop, int fd)
    : impl_(std::make_unique<Impl>(Impl{asio::posix::stream_descriptor(loop.context(), fd)})) {}

Readable::~Readable() {
  impl_->descriptor.release();
}

Task<bool> Readable::wait() {
  auto [error] = co_await impl_->descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                                       asio::as_tuple(asio::use_awaitable));
  co_return !error;
}

void Readable::cancel() {
  boost::system::error_code ignored;
  impl_->descriptor.cancel(ignored);
}

} // namespace hubgate::proxy
