// The process that keeps a pod's namespaces alive: it waits for a signal to end, and reaps what the pod's
// containers leave behind when they share its process namespace.
#include <signal.h>
#include <sys/wait.h>

int main(void) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGINT);
  sigaddset(&awaited, SIGCHLD);
  sigprocmask(SIG_BLOCK, &awaited, 0);
  for (;;) {
    int received = 0;
    if (sigwait(&awaited, &received) != 0) return 1;
    if (received != SIGCHLD) return 0;
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
  }
}
