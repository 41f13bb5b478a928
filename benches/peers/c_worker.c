/* The peer: a worker as one writes it with libgearman, which echoes each job's payload until it is killed.
 *
 * c_worker HOST PORT FUNCTION
 */
#include <libgearman/gearman.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
  if (argc != 4) {
    fprintf(stderr, "usage: c_worker HOST PORT FUNCTION\n");
    return 2;
  }
  gearman_worker_st *worker = gearman_worker_create(NULL);
  if (worker == NULL) {
    fprintf(stderr, "c_worker: out of memory\n");
    return 1;
  }
  /* GRAB_JOB_ALL, the default, is not known to geard; this is also what our own worker sends. */
  gearman_worker_remove_options(worker, GEARMAN_WORKER_GRAB_ALL);
  gearman_worker_add_options(worker, GEARMAN_WORKER_GRAB_UNIQ);
  if (gearman_failed(gearman_worker_add_server(worker, argv[1], (in_port_t)atoi(argv[2])))
      || gearman_failed(gearman_worker_add_function(worker, argv[3], 0, echo, NULL))) {
    fprintf(stderr, "c_worker: %s\n", gearman_worker_error(worker));
    return 1;
  }
  while (gearman_success(gearman_worker_work(worker))) {
  }
  fprintf(stderr, "c_worker: %s\n", gearman_worker_error(worker));
  gearman_worker_free(worker);
  return 1;
}
