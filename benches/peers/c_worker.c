/* A peer: workers as one writes them with libgearman. They run until they are killed.
 *
 * c_worker HOST PORT work FUNCTION                  one worker that echoes each job's payload
 * c_worker HOST PORT register WORKERS FUNCTIONS     many workers, a thread each, that offer build:0 to build:N-1
 */
#include <libgearman/gearman.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *host;
static in_port_t port;
static int functions;

static void *echo(gearman_job_st *job, void *context, size_t *size, gearman_return_t *outcome)
{
  (void)context;
  *size = gearman_job_workload_size(job);
  /* The library frees it. */
  void *result = malloc(*size ? *size : 1);
  if (result == NULL) {
    *outcome = GEARMAN_WORK_FAIL;
    return NULL;
  }
  memcpy(result, gearman_job_workload(job), *size);
  *outcome = GEARMAN_SUCCESS;
  return result;
}

static gearman_worker_st *make_worker(void)
{
  gearman_worker_st *worker = gearman_worker_create(NULL);
  if (worker == NULL) {
    fprintf(stderr, "c_worker: out of memory\n");
    exit(1);
  }
  /* GRAB_JOB_ALL, the default, is not known to geard; this is also what our own worker sends. */
  gearman_worker_remove_options(worker, GEARMAN_WORKER_GRAB_ALL);
  gearman_worker_add_options(worker, GEARMAN_WORKER_GRAB_UNIQ);
  if (gearman_failed(gearman_worker_add_server(worker, host, port))) {
    fprintf(stderr, "c_worker: %s\n", gearman_worker_error(worker));
    exit(1);
  }
  return worker;
}

static void offer(gearman_worker_st *worker, const char *function)
{
  if (gearman_failed(gearman_worker_add_function(worker, function, 0, echo, NULL))) {
    fprintf(stderr, "c_worker: %s\n", gearman_worker_error(worker));
    exit(1);
  }
}

static void *work(void *argument)
{
  gearman_worker_st *worker = argument;
  while (gearman_success(gearman_worker_work(worker))) {
  }
  fprintf(stderr, "c_worker: %s\n", gearman_worker_error(worker));
  gearman_worker_free(worker);
  return NULL;
}

static void *offer_all_and_work(void *unused)
{
  (void)unused;
  gearman_worker_st *worker = make_worker();
  for (int number = 0; number < functions; number++) {
    char name[32];
    snprintf(name, sizeof name, "build:%d", number);
    offer(worker, name);
  }
  return work(worker);
}

int main(int argc, char **argv)
{
  if (argc == 5 && strcmp(argv[3], "work") == 0) {
    host = argv[1];
    port = (in_port_t)atoi(argv[2]);
    gearman_worker_st *worker = make_worker();
    offer(worker, argv[4]);
    work(worker);
    return 1;
  }
  if (argc == 6 && strcmp(argv[3], "register") == 0) {
    host = argv[1];
    port = (in_port_t)atoi(argv[2]);
    functions = atoi(argv[5]);
    pthread_t thread;
    for (int number = atoi(argv[4]); number > 0; number--) {
      if (pthread_create(&thread, NULL, offer_all_and_work, NULL) != 0) {
        fprintf(stderr, "c_worker: no more threads\n");
        return 1;
      }
    }
    pthread_join(thread, NULL);
    return 1;
  }
  fprintf(stderr, "usage: c_worker HOST PORT work FUNCTION | register WORKERS FUNCTIONS\n");
  return 2;
}
