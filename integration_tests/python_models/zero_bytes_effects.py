def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "zero_bytes",
        dbt.config.meta_get("study"),
        units=dbt.ref("zero_bytes_units"),
        scores=dbt.ref("zero_bytes_scores"),
        gates=dbt.ref("zero_bytes_gates"),
        session=session,
    )
