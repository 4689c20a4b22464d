def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "missing_file",
        dbt.config.meta_get("study"),
        units=dbt.ref("missing_file_units"),
        session=session,
        scores=dbt.ref("missing_file_scores"),
    )
