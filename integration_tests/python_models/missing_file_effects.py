def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "missing_file",
        dbt.config.meta_get("study"),
        units=dbt.ref("missing_file_units"),
        scores=dbt.ref("missing_file_scores"),
        gates=dbt.ref("missing_file_gates"),
        session=session,
    )
